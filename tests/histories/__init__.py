"""The gathered way of selling and the plain one on the same histories, beside a small model: all three must agree.

A history is a list of steps: holds that arrive together, and what becomes of their orders. Each is played three times:
through the desks (``gather_holds``, ``gather_places``, ``hold_best_available``, ``gather_confirmations``) on a real
PostgreSQL, one call after the other through the reference (``place_hold``, ``settle_payment``) on a second one, and in
``model.py``, which is Python on dictionaries. After every step they must have said the same: yes, or which refusal, and
which seats; at the end the same must be owned, counted, told and owed, and the auditor must find nothing.

What may differ, and nothing else:

* The order in which requests that arrived together were decided. What they heard must be what one after the other would
  have heard in some order (``orders.py``): the one of the outbox, which is in the order of decisions, wherever it fits.
  The plain way then takes them in that order.
* Which of the places of one area of general admission somebody got: they have one price and no neighbours. How many,
  and of which area, may not differ.
* When a hold that ran out is ended. It is open to others from its last second on, whoever tidies up, and a batch may
  end more of them than one request would need; so whatever ran out is swept after places were asked for, and at the end.
  A batch also prefers an area that has enough free places to an earlier one that would have them with such holds ended;
  so it is swept before too where a request names no area.

Not played: seats by name and the best seats of one event at the same moment. Two desks decide those in two transactions,
each on what it read, and why one is refused, or which seats are best, may be of two moments. The races are for that. Nor
one key for two requests at two desks at once: a batch of places then gives back what it had taken for the one that lost
the key, and may have told others that there is nothing left.

The clock is ours: both databases find a ``clock_timestamp()`` of the test before PostgreSQL's own (``worlds.py``), so
that a hold of ten minutes runs out when the history says so and every instant can be compared to the second.
"""
