"""Where the catalog's records come from: files that others publish."""
