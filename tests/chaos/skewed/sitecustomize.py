"""A skewed clock for a Python process where libfaketime is not installed: what ``time.time`` tells is moved.

That reaches tokens, signatures and leases. ``datetime.now`` is C and is not reached; libfaketime reaches everything.
"""

import os
import time

_SKEW_S = int(os.environ.get("CHAOS_SKEW_S", "0"))
_time, _time_ns = time.time, time.time_ns
time.time = lambda: _time() + _SKEW_S
time.time_ns = lambda: _time_ns() + _SKEW_S * 1_000_000_000
