"""Notification: tells people by mail what happened to their orders and accounts.

Owns contacts and mail jobs. Invariants: a message of the bus sends one mail (I8; the only duplicate possible is a crash
between the mail server's 250 and our commit), a mail that was promised is tried for 24 hours, nobody reads another's
notifications (I14), what people typed is never markup, and what a mail carried is forgotten once it is sent (I24).

Tables: ``contacts``, ``mail_jobs``. Messages in: ``sales.order.v1``, ``identity.user.v1``, ``identity.mail.v1``; out:
none.
"""
