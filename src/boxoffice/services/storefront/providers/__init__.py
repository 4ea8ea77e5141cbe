"""The outside of the storefront: the public API, and the seal of the session cookie."""
