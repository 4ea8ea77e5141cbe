"""The SQL of sales, one file per aggregate; the only place that names a table.

Order of locks, so that nobody waits in a circle: a hold takes idempotency key, customer limit, seats, and never waits
for a seat (SKIP LOCKED); everything else takes order, payment, seats (ascending), customer limit.
"""
