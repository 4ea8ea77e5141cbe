"""SQL of notification; the only place that names its tables."""
