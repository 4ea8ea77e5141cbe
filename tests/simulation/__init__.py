"""The sale as a simulation: its own rules, a virtual clock, a store that can crash, a provider in every bad mood.

``sale.py`` decides (``step``: a command at an instant changes the store or nothing, and asks for calls), ``provider.py``
keeps the provider's own books, ``run.py`` draws everything that happens from one seed, ``checks.py`` says what must hold
after every step and at rest, ``mutants.py`` leaves guards out. ``python -m tests.simulation`` runs seeds or replays one.
"""
