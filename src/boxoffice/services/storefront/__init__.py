"""The face of the shop: server-rendered pages over the public API.

Owns no data and knows only the API at the gateway: every price, state and permission is what the API says (I13, I14).
No tables, no messages in or out. Logins live in a sealed cookie, drawings of houses in a bounded cache.
"""
