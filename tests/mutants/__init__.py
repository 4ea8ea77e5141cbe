"""The oracle is tested too: 22 seeded defects, each applied to the real product at run time, each seen by its oracle."""
