"""The catalog: venues, their seat maps, categories and events, and the importers that fill them from published files.

Invariants: a seat map never changes; an event's seat map belongs to its venue; an event's status moves only as
``domain.event.TRANSITIONS`` says; what was published moves in time by rescheduling only; a draft is seen by its
organisation alone; every change of an event raises its version by one and is told in the same transaction.

Tables: ``venues``, ``seat_maps``, ``categories``, ``events``, ``staged_seasons``, and the shared messaging tables.
Messages out: ``catalog.event.v1`` (the whole event after each change). Messages in: none.
"""
