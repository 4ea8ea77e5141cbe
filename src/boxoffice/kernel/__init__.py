"""Ids, money, time, errors and the plan of a house: pure, standard library only, known to every other part."""
