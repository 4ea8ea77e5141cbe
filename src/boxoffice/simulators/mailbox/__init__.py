"""A stand-in for the world's mail: an SMTP server that keeps every mail as a file, and pages to read them.

A mail is durable before the sender hears 250, so a test may count what was delivered. It sends nothing on, ever.
"""

from boxoffice.simulators.mailbox.mailbox import Mailbox

__all__ = ["Mailbox"]
