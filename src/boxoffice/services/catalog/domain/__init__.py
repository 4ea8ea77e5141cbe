"""The catalog's rules: what an event may become, what a seat map must add up to, how published records are read."""
