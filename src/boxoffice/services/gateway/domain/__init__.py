"""The gateway's rules: which path goes where, who the client is, what may be tried again. No IO."""
