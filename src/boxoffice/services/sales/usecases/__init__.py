"""What sales can do, one intent per file; each is one transaction."""
