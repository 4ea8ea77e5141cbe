"""The rules of notification: which fact becomes which mail, and what becomes of a mail. Pure."""
