"""Stand-ins for the outside world, each runnable as a process of its own; they know nothing of the services."""
