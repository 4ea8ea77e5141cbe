"""All that the services know of one another: message bodies, HTTP clients, the seat map format. No IO of its own."""
