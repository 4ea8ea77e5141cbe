"""Chaos on the real processes: a town of them, buyers, a nemesis with a seeded schedule, and a judge at the end.

``python -m tests.chaos --minutes 10 --seed 7`` runs it; the same seed gives the same schedule again.
"""
