"""Typed clients of the services' public HTTP API, for the other services."""
