"""What identity does, one intent a file."""
