"""HTTP in: request model, use case, response model; one file a process of the seed's drawing."""
