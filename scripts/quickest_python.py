"""Print which build of this Python version is the quickest on the PATH: ``python3 scripts/quickest_python.py``.

Distributions build Python with a profile and at link time (PGO, LTO); the same version compiled without is a sixth
slower at everything. It is this one, unless another is a tenth quicker and can make a virtual environment.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

QUICKER = 0.9
ROUNDS = 3
NEVER = 9.0
NAMES = ("python3", f"python3.{sys.version_info[1]}")
REAL = """
import os, sys
print(os.path.realpath(sys.executable if sys.prefix == sys.base_prefix else sys._base_executable))
"""
SAME = f"{sys.version_info[:2]} {sysconfig.get_platform()}"
WORK = """
import ensurepip, sys, sysconfig, time, venv

class Seat:
    def __init__(self, number): self.number = number
    def label(self, prefix): return prefix + str(self.number)

def work():
    seen = {}
    for number in range(20_000):
        seat = Seat(number)
        name, _, value = "content-length: 12".partition(": ")
        seen[seat.label("A")[:3]] = (seat, name, b"".join([b"ab", b"cd"]))

best = 9.0
for _ in range(5):
    began = time.perf_counter()
    work()
    best = min(best, time.perf_counter() - began)
print(best if f"{sys.version_info[:2]} {sysconfig.get_platform()}" == sys.argv[1] else 9.0)
"""


def said_by(python: str, program: str, *arguments: str) -> str:
    """Run a program of ours; gives what it prints, nothing when it fails."""
    done = subprocess.run([python, "-I", "-c", program, *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def builds_here() -> dict[str, str]:
    """Find the builds: where each is in truth, behind shims and virtual environments, and how it is called."""
    builds = {said_by(sys.executable, REAL): sys.executable}
    for folder in os.get_exec_path():
        for name in NAMES:
            path = str(Path(folder) / name)
            if os.access(path, os.X_OK) and (real := said_by(path, REAL)):
                builds.setdefault(real, path)
    return builds


def quickest() -> str:
    """Have the builds take turns at the same work."""
    builds = builds_here()
    mine = next(iter(builds))
    best = dict.fromkeys(builds, NEVER)
    for _ in range(ROUNDS if len(builds) > 1 else 0):
        for real, path in builds.items():
            best[real] = min(best[real], float(said_by(path, WORK, SAME) or NEVER))
    first = min(best, key=lambda real: best[real])
    return builds[first if best[first] < QUICKER * best[mine] else mine]


if __name__ == "__main__":
    print(quickest())
