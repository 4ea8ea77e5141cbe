"""A stand-in for PayPal: OAuth, Orders v2, Payments v2, transaction search, signed webhooks, an approval page.

It keeps its own ledger in a file, so that a test can ask somebody else than the platform how much money moved
(invariants I2 to I4), and it misbehaves on request: slow, lost replies, repeats, refusals, forgotten keys.
Sources: https://github.com/paypal/paypal-rest-api-specifications and https://developer.paypal.com/api/rest/.
"""
