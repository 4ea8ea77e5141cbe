"""The hammer: many clients on few seats, through the gathered desks of several processes, with every answer checked.

``python -m tests.hammer --attempts 1000000`` runs it; ``make evidence`` does so once a release.
"""
