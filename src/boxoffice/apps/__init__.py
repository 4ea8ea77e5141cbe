"""One file per process that can be deployed; ``all`` is every service in one process."""
