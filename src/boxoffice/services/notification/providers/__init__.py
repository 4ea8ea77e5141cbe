"""The outside of notification: the mail server, and the templates that letters are written from."""
