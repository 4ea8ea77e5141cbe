"""What identity signs and every service checks: the fixed parts of an access token (RFC 9068)."""

AUDIENCE = "boxoffice"
TYPE = "at+jwt"
ALGORITHM = "EdDSA"
KEYS_FRESH_S = 300.0
"""How long a service goes by the keys that it has read; new keys are published at least this long before they sign."""
