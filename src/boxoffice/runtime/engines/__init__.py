"""Engines of the full profile, on loopback, without containers: fetched once, checked, started as our children."""
