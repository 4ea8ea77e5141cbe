"""Sales: what is on sale, holds, orders, payments, tickets, refunds, and the ledger.

Owns the database ``sales``. Tickets, bookings and payments are three processes over this one service, because a hold,
its order, its payment and its tickets must commit together. Keeps invariants I1 to I7 and I9 to I10 (a seat has one
holder, money and tickets agree, limits hold, every message tells what committed, a repeat gives the same answer).

Takes ``catalog.event.v1``; tells ``sales.order.v1``, ``sales.event.v1`` and the two topics of the seed.
"""
