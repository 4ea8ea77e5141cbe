"""Notification: tells people by mail what happened to their orders and accounts, and news if they want them.

Owns contacts, mail jobs and preferences (in its database or in MongoDB). Invariants: a message of the bus sends one
mail (I8; the only duplicate possible is a crash between the mail server's 250 and our commit), a mail that was promised
is tried for 24 hours, nobody reads another's notifications (I14), what people typed is never markup, what a mail
carried is forgotten once it is sent (I24), and news are sent only while it is known that their reader wants them.

Tables: ``contacts``, ``mail_jobs``, ``preferences``, ``preference_home``. Messages in: ``sales.order.v1``,
``identity.user.v1``, ``identity.mail.v1``; out: none.
"""
