"""Boxoffice: an open, self-hosted ticketing platform. ARCHITECTURE.md says where everything is."""
