"""What search does: find, suggest, take messages, rebuild."""
