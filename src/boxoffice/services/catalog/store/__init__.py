"""SQL of the catalog, one file per aggregate: the only place that names its tables."""
