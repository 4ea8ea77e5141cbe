"""Identity: who people are, which organisations they act for, and the tokens that prove it.

Owns the database ``identity``: users, logins, refresh_tokens, one_time_links, reset_requests, organisations,
memberships. Keeps: one account per e-mail address; a password is never stored, only its argon2id hash; a refresh token
works once, and its second use ends the whole login; neither logging in nor a forgotten password tells who has an
account.
Messages out: ``identity.user.v1`` (how to reach a user, that they are gone) and ``identity.mail.v1`` (mails with
one-time links). Messages in: none.
"""
