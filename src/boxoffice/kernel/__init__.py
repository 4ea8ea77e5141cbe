"""Ids, money, time and errors: pure, standard library only, known to every other part."""
