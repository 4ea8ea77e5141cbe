"""IO without domain: database, outbox, bus, HTTP, settings, telemetry, and the engines that run inside."""
