"""Message bodies, one module per owner. Fields are only ever added, never renamed or given another meaning."""
