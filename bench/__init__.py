"""Repeatable measurements of the shop, each beside something that could be picked instead, in the same run.

``make bench`` prints them and writes ``artifacts/bench.json``. Figures of two machines do not compare; ratios do,
roughly. Nothing here fails because something is slow. Load goes to loopback only.
"""
