"""Checkers of histories: what clients were told, held against what may be true. None of them knows the program's code.

Each module looks for one kind of lie, has fewer than 200 lines, and a test that shows it catching a bad history:
``register`` (one holder a seat, in some order that agrees with the clock), ``tickets`` (what was acknowledged is there,
and nothing else is), ``bank`` (money and tickets, ours against the provider's own books), ``fence`` (owners change one
at a time), ``effects`` (each message took effect once), ``cycles`` (transactions have an order), ``sometimes`` (the
interesting things did happen).
"""
