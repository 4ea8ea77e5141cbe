"""HTTP of identity: request model, use case, answer."""
