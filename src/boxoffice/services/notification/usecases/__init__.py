"""What notification does, one intent a file."""
