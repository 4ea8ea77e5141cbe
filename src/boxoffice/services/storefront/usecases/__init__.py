"""What visitors do, one intent a file, by calls of the public API."""
