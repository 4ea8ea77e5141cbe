"""The gateway: one address for every service. Owns no database, no messages; counters are in Valkey or in the process.

Keeps: no body beyond its limit reaches a service; what clients say of themselves (X-User-Id, X-Forwarded-…) is dropped
and replaced by what the gateway knows; only what is safe to repeat is tried twice; every refusal is a problem with a
code.
"""
