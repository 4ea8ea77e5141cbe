"""The SQL of identity, one module per aggregate: the only place that names its tables."""
