"""HTTP of the catalog: request model, use case, answer. Public reads carry an ETag and may be kept by caches."""
