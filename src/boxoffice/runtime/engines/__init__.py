"""Real engines of the full profile on one machine: fetched once by a lock file, started as children of ours."""
