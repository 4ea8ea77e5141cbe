"""What the gateway serves: everything of the services, and its own pages (health, metrics, the API's description)."""
