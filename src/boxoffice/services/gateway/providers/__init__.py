"""How a call reaches its service: in the same process, or over the network."""
