-- A hold costs an index less. Held orders are few and end within minutes: an event's are found among all that are due,
-- by their second column; every other order of it by orders_of_event (a query names both states: store/orders.py).
DROP INDEX orders_of_event;
CREATE INDEX orders_of_event ON orders (event_id, created_at) WHERE state <> 'held';
DROP INDEX orders_due;
CREATE INDEX orders_due ON orders (hold_expires_at, event_id) WHERE state = 'held';

-- A new event's seats are made ready for reading (vacuumed) within a minute, however many seats there are of others.
ALTER TABLE event_seats SET (autovacuum_vacuum_insert_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0);
ALTER TABLE event_seat_labels SET (autovacuum_vacuum_insert_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0);
