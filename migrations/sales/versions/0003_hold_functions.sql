-- Placing and expiring holds, one by one (place_hold, the reference) and those that wait together (gather_holds).
-- A refusal of place_hold raises BX0nn with its context as JSON in DETAIL and rolls back alone: BX001 no such event,
-- BX002 not on sale, BX003 seats unknown, BX004 seats taken, BX005 limit reached, BX006 idempotency key reused,
-- BX007 not enough seats, BX008 sale halted, BX009 hold budget spent, BX010 a single seat would be left,
-- BX011 a companion's seat without its wheelchair place (a trigger of 0009 says so).

-- Full holds of a customer's whole limit that may be let go unpaid, per event: the budget against squatters.
CREATE FUNCTION hold_budget(p_limit int, p_hold_seconds int) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT p_limit::bigint * p_hold_seconds * 3
$$;

-- Whether a seat is offered to a request: not set aside, or set aside until now, or for the request's own allocation.
CREATE FUNCTION is_offered(closed_until timestamptz, allocation_id bigint, wanted_allocation bigint) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
  SELECT closed_until IS NULL OR closed_until <= clock_timestamp() OR allocation_id = wanted_allocation
$$;

-- Whether an event is on sale now.
CREATE FUNCTION is_on_sale(t event_terms) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT t.status = 'published' AND t.halted_because IS NULL
     AND clock_timestamp() >= coalesce(t.on_sale_at, '-infinity') AND clock_timestamp() < coalesce(t.off_sale_at, t.starts_at)
$$;

-- JSON is written as text here: half the cost of building jsonb, and a hold is a thousandth of a second.
CREATE FUNCTION json_text(value text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT coalesce(to_json(value)::text, 'null')
$$;

-- One place as sales.order.v1 tells it.
CREATE FUNCTION told_place(l event_seat_labels, price_minor bigint, unit text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"seatId":' || l.seat_id || ',"section":' || json_text(l.section) || ',"row":' || json_text(l.row_label)
      || ',"number":' || json_text(l.number) || ',"price":"' || decimal_price(price_minor, unit)
      || '","priceLevel":' || json_text(l.price_level) || '}'
$$;

-- One place as the answer to a hold shows it.
CREATE FUNCTION shown_place(l event_seat_labels, price_minor bigint, unit text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"ticketId":' || l.seat_id || ',"section":' || json_text(l.section) || ',"row":' || json_text(l.row_label)
      || ',"number":' || json_text(l.number) || ',"price":"' || decimal_price(price_minor, unit)
      || '","currency":"' || unit || '","priceLevel":' || json_text(l.price_level)
      || ',"status":"HELD","mark":' || json_text(l.mark) || '}'
$$;

CREATE FUNCTION hold_message(p_order uuid, p_user uuid, event text, places text, total_minor bigint, unit text)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"orderId":"' || p_order || '","userId":"' || p_user || '","state":"held","event":' || event
      || ',"tickets":[' || places || '],"total":"' || decimal_price(total_minor, unit) || '","currency":"' || unit || '"}'
$$;

-- p_arrangement: how the seats lie, where we chose them (domain/best_available.py).
CREATE FUNCTION hold_answer(p_order uuid, places text, expires timestamptz, total_minor bigint, unit text,
                            p_arrangement text DEFAULT NULL)
RETURNS bytea LANGUAGE sql VOLATILE AS $$
  SELECT convert_to('{"bookingId":"' || p_order || '","reservedTickets":[' || places || '],"expiresAt":"'
      || rfc3339(expires) || '","expiresInSeconds":' || ceil(extract(epoch FROM expires - clock_timestamp()))::int
      || ',"total":"' || decimal_price(total_minor, unit) || '","currency":"' || unit
      || coalesce('","arrangement":"' || p_arrangement, '') || '"}', 'UTF8')
$$;

-- The seats that these requests would leave single. p_seat are seats that the caller has locked; p_allocation is by
-- request. An island is a run of open seats side by side; a run of it that is taken leaves gaps at both its ends; a gap of
-- one is refused unless the other gap is none (then every choice in that island leaves one).
-- The neighbours are locked first and read afterwards in a statement of its own, which sees whatever committed before the
-- lock: two holds at both sides of a seat cannot both overlook it. What cannot be known yet, because another transaction
-- has a neighbour (contested) or an earlier request of the batch, which may still fail, wants one, is judged for
-- every way it may end: a gap can be none, one, more. Only if they differ, the request is undecided.
CREATE FUNCTION stranded_seats(p_req int[], p_seat bigint[], p_allocation bigint[])
RETURNS TABLE (req int, seat_id bigint, undecided boolean, contested boolean)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  near bigint[];
  locked bigint[];
BEGIN
  SELECT array_agg(DISTINCT n.id) INTO near FROM unnest(p_seat) w(id)
    JOIN event_seat_labels l ON l.event_id = w.id >> 20 AND l.seat_id = w.id
    CROSS JOIN LATERAL (VALUES (l.left_id), (l.right_id)) n(id)
   WHERE n.id IS NOT NULL AND NOT n.id = ANY (p_seat);
  SELECT p_seat || array_agg(k.seat_id) INTO locked FROM (
    SELECT s.seat_id FROM unnest(near) n(id) JOIN event_seats s ON s.event_id = n.id >> 20 AND s.seat_id = n.id
     WHERE is_open(s.state, s.hold_expires_at)
     ORDER BY s.event_id, s.seat_id FOR UPDATE OF s SKIP LOCKED) k;
  RETURN QUERY
  WITH wanted AS MATERIALIZED (
    SELECT w.req, l.event_id, l.seat_id, l.section, l.row_label, l.block, l.position, l.left_id, l.right_id
      FROM unnest(p_req, p_seat) w(req, id) JOIN event_seat_labels l ON l.event_id = w.id >> 20 AND l.seat_id = w.id
     WHERE l.left_id IS NOT NULL OR l.right_id IS NOT NULL),
  placed AS (
    SELECT *, position - row_number() OVER (PARTITION BY wanted.req, event_id, section, row_label, block ORDER BY position) AS run
      FROM wanted),
  runs AS MATERIALIZED (
    SELECT placed.req, min(event_id) AS event_id, (array_agg(left_id ORDER BY position))[1] AS left_id,
           (array_agg(right_id ORDER BY position DESC))[1] AS right_id
      FROM placed GROUP BY placed.req, event_id, section, row_label, block, run),
  sides AS MATERIALIZED (
    SELECT r.run_number, r.req, r.event_id, s.side, s.near, CASE s.side WHEN 0 THEN l.left_id ELSE l.right_id END AS far
      FROM (SELECT *, row_number() OVER () AS run_number FROM runs) r
      CROSS JOIN LATERAL (VALUES (0, r.left_id), (1, r.right_id)) s(side, near)
      LEFT JOIN event_seat_labels l ON l.event_id = r.event_id AND l.seat_id = s.near),
  seen AS (
    SELECT d.run_number, d.req, d.side, d.near, coalesce(a.open, false) AS near_open, coalesce(b.open, false) AS far_open,
           coalesce(a.wanted_before, false) AS near_wanted, coalesce(b.wanted_before, false) AS far_wanted,
           coalesce(a.open AND NOT d.near = ANY (locked), false) AS foreign
      FROM sides d
      LEFT JOIN LATERAL (
        SELECT is_open(s.state, s.hold_expires_at) AND is_offered(s.closed_until, s.allocation_id, p_allocation[d.req])
               AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.req = d.req AND w.seat_id = s.seat_id) AS open,
               EXISTS (SELECT 1 FROM wanted w WHERE w.req < d.req AND w.seat_id = s.seat_id) AS wanted_before
          FROM event_seats s WHERE s.event_id = d.event_id AND s.seat_id = d.near) a ON true
      LEFT JOIN LATERAL (
        SELECT is_open(s.state, s.hold_expires_at) AND is_offered(s.closed_until, s.allocation_id, p_allocation[d.req])
               AND NOT EXISTS (SELECT 1 FROM wanted w WHERE w.req = d.req AND w.seat_id = s.seat_id) AS open,
               EXISTS (SELECT 1 FROM wanted w WHERE w.req < d.req AND w.seat_id = s.seat_id) AS wanted_before
          FROM event_seats s WHERE s.event_id = d.event_id AND s.seat_id = d.far) b ON true),
  gaps AS (
    SELECT g.run_number, g.req, g.side, g.near, g.foreign, NOT g.near_open OR g.foreign OR g.near_wanted AS none,
           g.near_open AND (NOT g.far_open OR g.foreign OR g.far_wanted) AS one, g.near_open AND g.far_open AS more
      FROM seen g)
  SELECT g.req, g.near, g.none OR o.none OR (g.more AND o.more),
         (g.none OR o.none OR (g.more AND o.more)) AND (g.foreign OR o.foreign)
    FROM gaps g JOIN gaps o ON o.run_number = g.run_number AND o.side <> g.side
   WHERE g.one AND (o.one OR o.more);
END $$;

-- End holds that ran out (anybody's, or one customer's for one event); returns how many. Hygiene: a hold that ran out
-- can be taken over by anybody without this. Sorted by customer, so that two sweepers never wait for each other in a
-- circle; an order of which somebody is taking a seat over just now is left for the next time, for the same reason.
CREATE OR REPLACE FUNCTION expire_holds(p_user uuid, p_event bigint, p_most int, p_trace text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  due orders;
  own int;
  free int;
  ended int := 0;
  gone bigint[];
BEGIN
  FOR due IN
    WITH mine AS MATERIALIZED (
      SELECT * FROM orders
       WHERE state = 'held' AND hold_expires_at <= clock_timestamp()
         AND (p_user IS NULL OR (user_id = p_user AND event_id = p_event))
       ORDER BY hold_expires_at LIMIT p_most FOR UPDATE SKIP LOCKED)
    SELECT * FROM mine ORDER BY event_id, user_id, order_id
  LOOP
    -- Seats that somebody took over meanwhile carry another order: they are not ours to free.
    SELECT count(*) INTO own FROM event_seats
     WHERE event_id = due.event_id AND seat_id = ANY (due.seat_ids) AND order_id = due.order_id AND state = 'held';
    SELECT count(*) INTO free FROM (
      SELECT 1 FROM event_seats
       WHERE event_id = due.event_id AND seat_id = ANY (due.seat_ids) AND order_id = due.order_id AND state = 'held'
       ORDER BY seat_id FOR UPDATE SKIP LOCKED) locked;
    CONTINUE WHEN free < own;
    IF own < due.n_seats THEN
      gone := gone || due.seat_ids;
    END IF;
    UPDATE event_seats SET state = 'free', order_id = NULL, hold_expires_at = NULL, fence = fence + 1
     WHERE event_id = due.event_id AND seat_id = ANY (due.seat_ids) AND order_id = due.order_id AND state = 'held';
    UPDATE customer_limits SET n = n - due.n_seats, held = held - due.n_seats
     WHERE event_id = due.event_id AND user_id = due.user_id;
    UPDATE orders SET state = 'released', version = version + 1, ended_at = clock_timestamp(), released_because = 'expired'
     WHERE order_id = due.order_id;
    INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
    SELECT gen_random_uuid(), 'sales.order.v1', due.order_id::text, 'sales.order.released', due.version + 1,
           jsonb_build_object('orderId', due.order_id, 'userId', due.user_id, 'state', 'released',
             'event', event_summary(t), 'tickets', order_places(due.event_id, due.seat_ids),
             'total', decimal_price(due.total_minor, due.currency), 'currency', due.currency, 'reason', 'expired'), p_trace
      FROM event_terms t WHERE t.event_id = due.event_id;
    ended := ended + 1;
  END LOOP;
  PERFORM return_places(gone);  -- of general admission: last, since areas are locked after customers
  RETURN ended;
END $$;

-- Say why chosen seats cannot be held: ids that are no seats of the event, else those that were not ours to take.
DROP FUNCTION refuse_seats(bigint, bigint[], bigint[]);
CREATE FUNCTION refuse_seats(p_event bigint, p_wanted bigint[], p_took bigint[], p_allocation bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  unknown jsonb;
  taken jsonb;
BEGIN
  SELECT jsonb_agg(w.id ORDER BY w.id) INTO unknown FROM unnest(p_wanted) w(id)
   WHERE NOT EXISTS (SELECT 1 FROM event_seats s WHERE s.event_id = p_event AND s.seat_id = w.id);
  IF unknown IS NOT NULL THEN
    RAISE EXCEPTION 'seats unknown' USING ERRCODE = 'BX003', DETAIL = jsonb_build_object('ticketIds', unknown)::text;
  END IF;
  SELECT jsonb_agg(jsonb_build_object('ticketId', l.seat_id, 'section', l.section, 'row', l.row_label, 'number', l.number)
                   ORDER BY l.seat_id) INTO taken
    FROM event_seat_labels l JOIN event_seats s USING (event_id, seat_id)
   WHERE l.event_id = p_event AND l.seat_id = ANY (p_wanted)
     AND CASE WHEN p_took IS NULL
              THEN NOT (is_open(s.state, s.hold_expires_at) AND is_offered(s.closed_until, s.allocation_id, p_allocation))
              ELSE NOT l.seat_id = ANY (p_took) END;
  -- Contested: one of them is still free, only locked by another request, which may yet fail. Worth one more try.
  RAISE EXCEPTION 'seats taken' USING ERRCODE = 'BX004', DETAIL = jsonb_build_object('taken', coalesce(taken, '[]'),
    'contested', p_took IS NOT NULL AND EXISTS (SELECT 1 FROM event_seats s WHERE s.event_id = p_event
      AND s.seat_id = ANY (p_wanted) AND NOT s.seat_id = ANY (p_took) AND is_open(s.state, s.hold_expires_at)))::text;
END $$;

-- Refuse seats beside which a single one would be left, naming it; contested when a neighbour is only locked.
CREATE FUNCTION refuse_stranding(p_event bigint, p_seats bigint[], p_allocation bigint DEFAULT NULL) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  single jsonb;
  unclear jsonb;
BEGIN
  SELECT jsonb_agg(DISTINCT x.named) FILTER (WHERE NOT x.undecided), jsonb_agg(DISTINCT x.named) INTO single, unclear FROM (
    SELECT s.undecided, jsonb_build_object('ticketId', l.seat_id, 'section', l.section, 'row', l.row_label, 'number', l.number) AS named
      FROM stranded_seats(array_fill(1, ARRAY[cardinality(p_seats)]), p_seats, ARRAY[p_allocation]) s
      JOIN event_seat_labels l ON l.event_id = p_event AND l.seat_id = s.seat_id) x;
  IF single IS NOT NULL THEN
    RAISE EXCEPTION 'single seat left' USING ERRCODE = 'BX010', DETAIL = jsonb_build_object('single', single)::text;
  ELSIF unclear IS NOT NULL THEN
    RAISE EXCEPTION 'seats taken' USING ERRCODE = 'BX004',
      DETAIL = jsonb_build_object('taken', unclear, 'contested', true)::text;
  END IF;
END $$;

-- Count places up against a customer's limit and hold budget, and say until when their holds of this event last: the
-- clock starts with the first open one. NULL when one of the two does not allow it.
CREATE FUNCTION count_places(p_event bigint, p_user uuid, p_places int, p_limit int, p_hold_seconds int)
RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
  INSERT INTO customer_limits AS l (event_id, user_id, n, cap, held, clock_until, spent_seconds)
  SELECT p_event, p_user, p_places, p_limit, p_places, clock_timestamp() + make_interval(secs => p_hold_seconds),
         p_places::bigint * p_hold_seconds
   WHERE p_places <= p_limit
  ON CONFLICT (event_id, user_id) DO UPDATE SET n = l.n + EXCLUDED.n, cap = EXCLUDED.cap, held = l.held + EXCLUDED.n,
    clock_until = CASE WHEN l.held > 0 AND l.clock_until > clock_timestamp() THEN l.clock_until ELSE EXCLUDED.clock_until END,
    spent_seconds = l.spent_seconds + CASE WHEN l.held > 0 AND l.clock_until > clock_timestamp()
      THEN EXCLUDED.n * ceil(extract(epoch FROM l.clock_until - clock_timestamp()))::bigint ELSE EXCLUDED.spent_seconds END
    WHERE l.n + EXCLUDED.n <= EXCLUDED.cap AND l.spent_seconds + EXCLUDED.spent_seconds <= hold_budget(p_limit, p_hold_seconds)
  RETURNING clock_until
$$;

-- Refuse because of the limit, or of the hold budget, in the customer's own numbers.
CREATE FUNCTION refuse_count(p_event bigint, p_user uuid, p_places int, p_limit int, p_hold_seconds int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  counted customer_limits;
BEGIN
  SELECT * INTO counted FROM customer_limits WHERE event_id = p_event AND user_id = p_user;
  IF coalesce(counted.n, 0) + p_places > p_limit THEN
    RAISE EXCEPTION 'limit reached' USING ERRCODE = 'BX005', DETAIL = jsonb_build_object(
      'limitPerCustomer', p_limit, 'requested', p_places, 'alreadyHeldOrBought', coalesce(counted.n, 0))::text;
  END IF;
  RAISE EXCEPTION 'hold budget spent' USING ERRCODE = 'BX009', DETAIL = jsonb_build_object(
    'seatMinutes', hold_budget(p_limit, p_hold_seconds) / 60, 'spentSeatMinutes', counted.spent_seconds / 60)::text;
END $$;

-- Place a hold: all or nothing, in one call. Returns the answer as it goes out, byte for byte the same for a repeat of
-- the idempotency key. p_seats names the seats. Where it is NULL, p_quantity places of general admission are wanted, or
-- seats of our choice of which domain/best_available.py found none in this transaction: that is refused, after the rest.
-- Every statement goes by primary key, so one plan fits all; planning anew for each call costs more than the hold itself.
DROP FUNCTION choose_seats(bigint, int, text, boolean);
DROP FUNCTION place_hold(uuid, bigint, bigint[], int, text, boolean, uuid, text, text, bytea, text);
CREATE FUNCTION place_hold(
  p_user uuid, p_event bigint, p_seats bigint[], p_quantity int, p_level text, p_together boolean,
  p_order uuid, p_key text, p_route text, p_fingerprint bytea, p_trace text, p_message uuid, p_allocation bigint,
  p_arrangement text DEFAULT NULL
) RETURNS bytea LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  terms event_terms;
  earlier idempotency_keys;
  wanted bigint[] := p_seats;
  places int := coalesce(cardinality(p_seats), p_quantity);
  expires timestamptz;
  took bigint[];
  prices bigint[];
  sum_minor bigint;
  unit text;
  shown text;
  told text;
  answer bytea;
BEGIN
  -- Places of general admission are on a list of their own.
  IF EXISTS (SELECT FROM ga_areas a WHERE a.event_id = p_event AND CASE WHEN p_seats IS NULL THEN p_level IS NULL OR a.area = p_level
       ELSE (p_seats[1] & 1048575) >= a.first_place AND (p_seats[1] & 1048575) < a.first_place + a.capacity END) THEN
    RETURN place_in_area(p_user, p_event, p_seats, p_quantity, p_level, p_order, p_key, p_route, p_fingerprint, p_trace, p_message);
  END IF;

  IF p_key IS NOT NULL THEN
    INSERT INTO idempotency_keys (principal, key, route, fingerprint) VALUES (p_user, p_key, p_route, p_fingerprint)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT * INTO STRICT earlier FROM idempotency_keys WHERE principal = p_user AND key = p_key;
      IF earlier.route <> p_route OR earlier.fingerprint <> p_fingerprint THEN
        RAISE EXCEPTION 'key reused' USING ERRCODE = 'BX006';
      END IF;
      RETURN earlier.body;
    END IF;
  END IF;

  SELECT * INTO terms FROM event_terms WHERE event_id = p_event;
  IF NOT FOUND OR terms.status IN ('draft', 'deleted') THEN
    RAISE EXCEPTION 'no such event' USING ERRCODE = 'BX001';
  ELSIF terms.halted_because IS NOT NULL THEN
    RAISE EXCEPTION 'halted' USING ERRCODE = 'BX008';
  ELSIF NOT is_on_sale(terms) THEN
    RAISE EXCEPTION 'not on sale' USING ERRCODE = 'BX002', DETAIL = jsonb_build_object('eventStatus', terms.status,
      'onSaleAt', rfc3339(terms.on_sale_at), 'offSaleAt', rfc3339(coalesce(terms.off_sale_at, terms.starts_at)))::text;
  END IF;

  -- An early no: most who lose on a hot event lose here, before they have written or locked anything.
  IF wanted IS NOT NULL AND places <> (SELECT count(*) FROM event_seats
      WHERE event_id = p_event AND seat_id = ANY (wanted) AND is_open(state, hold_expires_at)
        AND is_offered(closed_until, allocation_id, p_allocation)) THEN
    PERFORM refuse_seats(p_event, wanted, NULL, p_allocation);
  END IF;

  expires := count_places(p_event, p_user, places, terms.limit_per_customer, terms.hold_seconds);
  IF expires IS NULL THEN
    -- The customer's own holds that ran out do not count: end them now instead of waiting for the sweeper.
    PERFORM expire_holds(p_user, p_event, 100, p_trace);
    expires := count_places(p_event, p_user, places, terms.limit_per_customer, terms.hold_seconds);
    IF expires IS NULL THEN
      PERFORM refuse_count(p_event, p_user, places, terms.limit_per_customer, terms.hold_seconds);
    END IF;
  END IF;

  IF wanted IS NULL THEN
    RAISE EXCEPTION 'not enough seats' USING ERRCODE = 'BX007';
  END IF;

  WITH open AS (
    SELECT seat_id FROM event_seats
     WHERE event_id = p_event AND seat_id = ANY (wanted)
       AND (state = 'free' OR (state = 'held' AND hold_expires_at <= clock_timestamp()))
       AND is_offered(closed_until, allocation_id, p_allocation)
     ORDER BY seat_id FOR UPDATE SKIP LOCKED),
  mine AS (
    UPDATE event_seats s SET state = 'held', order_id = p_order, hold_expires_at = expires, fence = s.fence + 1
      FROM open o WHERE s.event_id = p_event AND s.seat_id = o.seat_id
    RETURNING s.seat_id, s.price_minor, s.currency)
  SELECT array_agg(m.seat_id ORDER BY m.seat_id), array_agg(m.price_minor ORDER BY m.seat_id), sum(m.price_minor),
         min(m.currency), string_agg(shown_place(l, m.price_minor, m.currency), ',' ORDER BY m.seat_id),
         string_agg(told_place(l, m.price_minor, m.currency), ',' ORDER BY m.seat_id)
    INTO took, prices, sum_minor, unit, shown, told
    FROM mine m JOIN event_seat_labels l ON l.event_id = p_event AND l.seat_id = m.seat_id;
  IF cardinality(took) IS DISTINCT FROM places THEN
    PERFORM refuse_seats(p_event, wanted, coalesce(took, '{}'), p_allocation);
  END IF;
  IF terms.no_orphans THEN
    PERFORM refuse_stranding(p_event, took, p_allocation);
  END IF;

  INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency,
                      hold_started_at, hold_expires_at, cancel_until, refund_percent, allocation_id)
  VALUES (p_order, p_event, p_user, 'held', places, took, prices, sum_minor, unit, clock_timestamp(), expires,
          terms.starts_at - make_interval(hours => terms.cancel_until_hours), terms.refund_percent, p_allocation);
  INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
  VALUES (p_message, 'sales.order.v1', p_order::text, 'sales.order.held', 0,
          hold_message(p_order, p_user, terms.summary, told, sum_minor, unit)::jsonb, p_trace);
  answer := hold_answer(p_order, shown, expires, sum_minor, unit, p_arrangement);
  IF p_key IS NOT NULL THEN
    UPDATE idempotency_keys SET status = 201, body = answer WHERE principal = p_user AND key = p_key;
  END IF;
  RETURN answer;
END $$;

-- Decide holds that were waiting, each all or nothing, in one transaction; one refusal undoes nothing of its neighbours.
-- Request i is p_event[i], p_user[i] …; its seats are the s_seat[j] with s_req[j] = i. Of several that want one seat the
-- first is tried. An idempotency key and a (customer, event) stand in a batch at most once: another waits for the next.
-- Verdicts: 'placed' with the answer as place_hold would give it; 'taken' with the places that others have; 'contested'
-- when one was only locked just now, or tried for another who did not get it; 'alone' for whatever place_hold must say, a repeat or a refusal in its own words.
-- Places, limit, key, order and message go the same way as in place_hold; a test compares the two on the same histories.
CREATE FUNCTION gather_holds(
  p_event bigint[], p_user uuid[], p_order uuid[], p_message uuid[], p_key text[], p_fingerprint bytea[], p_n int[],
  p_allocation bigint[], p_trace text[], s_req int[], s_seat bigint[], p_route text, p_arrangement text[]
) RETURNS TABLE (req int, verdict text, answer bytea, taken text)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off AS $$
#variable_conflict use_column
DECLARE
  fresh int[];
  guards_singles boolean;
  c_req int[];
  c_seat bigint[];
  whole int[];
  unclear int[];
  l_req int[];
  l_until timestamptz[];
  placed int[];
  answers bytea[];
  updated bigint;
  seats bigint;
BEGIN
  SELECT array_agg(r.req::int), bool_or(t.no_orphans) INTO fresh, guards_singles
    FROM unnest(p_event, p_user, p_key) WITH ORDINALITY r(event_id, user_id, key, req)
    CROSS JOIN LATERAL (SELECT e.no_orphans FROM event_terms e WHERE e.event_id = r.event_id AND is_on_sale(e) OFFSET 0) t
   WHERE (SELECT true FROM idempotency_keys i WHERE i.principal = r.user_id AND i.key = r.key) IS NULL;

  SELECT array_agg(c.req), array_agg(c.seat_id) INTO c_req, c_seat FROM (
    SELECT w.req, s.seat_id
      FROM (SELECT min(u.req) AS req, u.id FROM unnest(s_req, s_seat) u(req, id) WHERE u.req = ANY (fresh) GROUP BY u.id) w
      JOIN event_seats s ON s.event_id = w.id >> 20 AND s.seat_id = w.id
     WHERE (s.state = 'free' OR (s.state = 'held' AND s.hold_expires_at <= clock_timestamp()))
       AND (s.closed_until IS NULL OR s.closed_until <= clock_timestamp() OR s.allocation_id = p_allocation[w.req])
       AND (s.bundle_id IS NULL OR s.bundle_id = s.seat_id)  -- companions' seats: place_hold decides
     ORDER BY s.event_id, s.seat_id FOR UPDATE OF s SKIP LOCKED) c;
  SELECT array_agg(k.req) INTO whole FROM (
    SELECT c.req FROM unnest(c_req) c(req) GROUP BY c.req HAVING count(*) = p_n[c.req]) k;

  IF guards_singles THEN
    WITH stranded AS (
      SELECT x.req, bool_and(x.undecided) AND bool_or(x.contested) AS contested
        FROM stranded_seats(
          (SELECT array_agg(c.req) FROM unnest(c_req, c_seat) c(req, id) JOIN event_terms t ON t.event_id = c.id >> 20
            WHERE c.req = ANY (whole) AND t.no_orphans),
          (SELECT array_agg(c.id) FROM unnest(c_req, c_seat) c(req, id) JOIN event_terms t ON t.event_id = c.id >> 20
            WHERE c.req = ANY (whole) AND t.no_orphans), p_allocation) x GROUP BY x.req)
    SELECT (SELECT array_agg(w.req) FROM unnest(whole) w(req) WHERE NOT w.req IN (SELECT s.req FROM stranded s)),
           (SELECT array_agg(s.req) FROM stranded s WHERE s.contested)
      INTO whole, unclear;
  END IF;

  WITH counted AS (
    INSERT INTO customer_limits AS l (event_id, user_id, n, cap, held, clock_until, spent_seconds)
    SELECT t.event_id, p_user[w.req], p_n[w.req], t.limit_per_customer, p_n[w.req],
           clock_timestamp() + make_interval(secs => t.hold_seconds), p_n[w.req]::bigint * t.hold_seconds
      FROM unnest(whole) w(req)
      CROSS JOIN LATERAL (SELECT * FROM event_terms e WHERE e.event_id = p_event[w.req] OFFSET 0) t
     WHERE p_n[w.req] <= t.limit_per_customer ORDER BY 1, 2
    ON CONFLICT (event_id, user_id) DO UPDATE SET n = l.n + EXCLUDED.n, cap = EXCLUDED.cap, held = l.held + EXCLUDED.n,
      clock_until = CASE WHEN l.held > 0 AND l.clock_until > clock_timestamp() THEN l.clock_until ELSE EXCLUDED.clock_until END,
      spent_seconds = l.spent_seconds + CASE WHEN l.held > 0 AND l.clock_until > clock_timestamp()
        THEN EXCLUDED.n * ceil(extract(epoch FROM l.clock_until - clock_timestamp()))::bigint ELSE EXCLUDED.spent_seconds END
      WHERE l.n + EXCLUDED.n <= EXCLUDED.cap
        AND l.spent_seconds + EXCLUDED.spent_seconds
            <= hold_budget(EXCLUDED.cap, (EXCLUDED.spent_seconds / EXCLUDED.n)::int)
    RETURNING l.event_id, l.user_id, l.clock_until)
  SELECT array_agg(w.req), array_agg(k.clock_until) INTO l_req, l_until
    FROM unnest(whole) w(req) JOIN counted k ON k.event_id = p_event[w.req] AND k.user_id = p_user[w.req];

  -- Nothing here joins two results of the batch row by row: a batch of a hundred would be ten thousand pairs. OFFSET 0
  -- keeps each look at event_terms one by primary key, however few events there were when the plan was made; for keys
  -- a subquery does (above).
  WITH seat AS MATERIALIZED (
    SELECT c.req, s.event_id, s.seat_id, s.price_minor, s.currency,
           shown_place(l, s.price_minor, s.currency) AS shown, told_place(l, s.price_minor, s.currency) AS told
      FROM unnest(c_req, c_seat) c(req, id)
      JOIN event_seats s ON s.event_id = c.id >> 20 AND s.seat_id = c.id
      JOIN event_seat_labels l ON l.event_id = c.id >> 20 AND l.seat_id = c.id
     WHERE c.req = ANY (l_req)),
  whole_order AS MATERIALIZED (
    SELECT g.*, l_until[array_position(l_req, g.req)] AS until, t.summary, t.refund_percent,
           t.starts_at - make_interval(hours => t.cancel_until_hours) AS cancel_until,
           hold_answer(p_order[g.req], g.shown, l_until[array_position(l_req, g.req)], g.total, g.unit,
                       p_arrangement[g.req]) AS answer
      FROM (
        SELECT s.req, array_agg(s.seat_id ORDER BY s.seat_id) AS seat_ids, array_agg(s.price_minor ORDER BY s.seat_id) AS prices,
               sum(s.price_minor)::bigint AS total, min(s.currency) AS unit,
               string_agg(s.shown, ',' ORDER BY s.seat_id) AS shown, string_agg(s.told, ',' ORDER BY s.seat_id) AS told
          FROM seat s GROUP BY s.req) g
      CROSS JOIN LATERAL (SELECT * FROM event_terms e WHERE e.event_id = p_event[g.req] OFFSET 0) t),
  keyed AS (
    INSERT INTO idempotency_keys (principal, key, route, fingerprint, status, body)
    SELECT p_user[o.req], p_key[o.req], p_route, p_fingerprint[o.req], 201, o.answer
      FROM whole_order o WHERE p_key[o.req] IS NOT NULL ORDER BY 1, 2
    ON CONFLICT DO NOTHING RETURNING principal, key),
  held AS (
    UPDATE event_seats s
       SET state = 'held', order_id = p_order[c.req], hold_expires_at = l_until[array_position(l_req, c.req)], fence = s.fence + 1
      FROM seat c WHERE s.event_id = c.event_id AND s.seat_id = c.seat_id
       AND (p_key[c.req] IS NULL OR (p_user[c.req], p_key[c.req]) IN (SELECT k.principal, k.key FROM keyed k)) RETURNING 1),
  kept AS MATERIALIZED (
    SELECT o.* FROM whole_order o
     WHERE p_key[o.req] IS NULL OR (p_user[o.req], p_key[o.req]) IN (SELECT k.principal, k.key FROM keyed k)),
  ordered AS (
    INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency,
                        hold_started_at, hold_expires_at, cancel_until, refund_percent, allocation_id)
    SELECT p_order[o.req], p_event[o.req], p_user[o.req], 'held', p_n[o.req], o.seat_ids, o.prices, o.total, o.unit,
           clock_timestamp(), o.until, o.cancel_until, o.refund_percent, p_allocation[o.req]
      FROM kept o ORDER BY o.req),
  told AS (
    INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
    SELECT p_message[o.req], 'sales.order.v1', p_order[o.req]::text, 'sales.order.held', 0,
           hold_message(p_order[o.req], p_user[o.req], o.summary, o.told, o.total, o.unit)::jsonb, p_trace[o.req]
      FROM kept o ORDER BY o.req)
  SELECT array_agg(o.req), array_agg(o.answer), sum(cardinality(o.seat_ids)), (SELECT count(*) FROM held)
    INTO placed, answers, seats, updated FROM kept o;
  IF seats IS DISTINCT FROM nullif(updated, 0) THEN
    RAISE EXCEPTION 'held % of % seats', updated, seats;  -- cannot be: they are locked
  END IF;
  IF cardinality(l_req) > coalesce(cardinality(placed), 0) THEN
    -- Another process placed the same call meanwhile: its places are counted, ours are not held.
    UPDATE customer_limits l SET n = l.n - p_n[w.req], held = l.held - p_n[w.req],
           spent_seconds = greatest(0, l.spent_seconds - p_n[w.req] * ceil(extract(epoch FROM w.until - clock_timestamp()))::bigint)
      FROM unnest(l_req, l_until) w(req, until)
     WHERE NOT w.req = ANY (coalesce(placed, '{}')) AND l.event_id = p_event[w.req] AND l.user_id = p_user[w.req];
  END IF;

  RETURN QUERY SELECT p.req, 'placed', p.answer, NULL::text FROM unnest(placed, answers) p(req, answer);
  -- Of the others, those who were fresh and did not get every seat hear which ones; everything else is place_hold's.
  RETURN QUERY
    WITH lost AS MATERIALIZED (
      SELECT w.req, w.id, EXISTS (SELECT 1 FROM unnest(c_req, c_seat) c(req, id) WHERE c.req = w.req AND c.id = w.id) AS got
        FROM unnest(s_req, s_seat) w(req, id)
       WHERE w.req = ANY (fresh) AND NOT w.req = ANY (coalesce(placed || l_req || whole || unclear, '{}')))
    SELECT x.req, CASE WHEN bool_or(s.seat_id IS NULL OR s.bundle_id <> s.seat_id) THEN 'alone'
                       WHEN bool_or(NOT x.got AND is_open(s.state, s.hold_expires_at)
                                    AND is_offered(s.closed_until, s.allocation_id, p_allocation[x.req])) THEN 'contested'
                       WHEN bool_and(x.got) THEN 'alone' ELSE 'taken' END,
           NULL::bytea,
           '[' || string_agg('{"ticketId":' || x.id || ',"section":' || json_text(l.section) || ',"row":' || json_text(l.row_label)
                             || ',"number":' || json_text(l.number) || '}', ',' ORDER BY x.id) FILTER (WHERE NOT x.got) || ']'
      FROM lost x
      LEFT JOIN event_seats s ON s.event_id = x.id >> 20 AND s.seat_id = x.id
      LEFT JOIN event_seat_labels l ON l.event_id = x.id >> 20 AND l.seat_id = x.id
     GROUP BY x.req;
  RETURN QUERY SELECT u.req, 'contested', NULL::bytea, '[]' FROM unnest(unclear) u(req);
END $$;
