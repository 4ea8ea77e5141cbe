"""What the gateway does beyond passing on: merge the descriptions of the services into one."""
