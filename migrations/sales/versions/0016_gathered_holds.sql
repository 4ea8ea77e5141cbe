-- What an answer and a message both say is written once: a place and a price cost a hold more than finding its seat. The
-- functions that place_hold calls are made of the same parts, so both ways say the same.

-- What is said of a place everywhere, behind its id.
CREATE FUNCTION place_said(l event_seat_labels, price_minor bigint, unit text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT ',"section":' || json_text(l.section) || ',"row":' || json_text(l.row_label) || ',"number":' || json_text(l.number)
      || ',"price":"' || decimal_price(price_minor, unit) || '","priceLevel":' || json_text(l.price_level)
$$;

-- What only the answer to a hold says of it.
CREATE FUNCTION place_shown(l event_seat_labels, unit text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT ',"currency":"' || unit || '","status":"HELD","mark":' || json_text(l.mark) || ',"notice":' || json_text(l.notice)
$$;

CREATE OR REPLACE FUNCTION told_place(l event_seat_labels, price_minor bigint, unit text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"seatId":' || l.seat_id || place_said(l, price_minor, unit) || '}'
$$;

CREATE OR REPLACE FUNCTION shown_place(l event_seat_labels, price_minor bigint, unit text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"ticketId":' || l.seat_id || place_said(l, price_minor, unit) || place_shown(l, unit) || '}'
$$;

CREATE FUNCTION hold_message(p_order uuid, p_user uuid, event text, places text, total text, unit text)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"orderId":"' || p_order || '","userId":"' || p_user || '","state":"held","event":' || event
      || ',"tickets":[' || places || '],"total":"' || total || '","currency":"' || unit || '"}'
$$;

CREATE OR REPLACE FUNCTION hold_message(p_order uuid, p_user uuid, event text, places text, total_minor bigint, unit text)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT hold_message(p_order, p_user, event, places, decimal_price(total_minor, unit), unit)
$$;

CREATE FUNCTION hold_answer(p_order uuid, places text, expires timestamptz, total text, unit text, p_arrangement text)
RETURNS bytea LANGUAGE sql VOLATILE AS $$
  SELECT convert_to('{"bookingId":"' || p_order || '","reservedTickets":[' || places || '],"expiresAt":"'
      || rfc3339(expires) || '","expiresInSeconds":' || ceil(extract(epoch FROM expires - clock_timestamp()))::int
      || ',"total":"' || total || '","currency":"' || unit || coalesce('","arrangement":"' || p_arrangement, '') || '"}', 'UTF8')
$$;

CREATE OR REPLACE FUNCTION hold_answer(p_order uuid, places text, expires timestamptz, total_minor bigint, unit text,
                                       p_arrangement text DEFAULT NULL)
RETURNS bytea LANGUAGE sql VOLATILE AS $$
  SELECT hold_answer(p_order, places, expires, decimal_price(total_minor, unit), unit, p_arrangement)
$$;

-- Only what it says is new; what it promises is said in 0003_hold_functions.sql and 0015_gathered_holds.sql.
CREATE OR REPLACE FUNCTION gather_holds(
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
  c_price bigint[];
  c_unit text[];
  c_shown text[];
  c_told text[];
  whole int[];
  unclear int[];
  l_req int[];
  l_until timestamptz[];
  answers bytea[];
  updated bigint;
  seats bigint;
BEGIN
  WITH fresh AS MATERIALIZED (
    SELECT r.req::int, t.no_orphans FROM unnest(p_event, p_user, p_key) WITH ORDINALITY r(event_id, user_id, key, req)
     CROSS JOIN LATERAL (SELECT e.no_orphans FROM event_terms e WHERE e.event_id = r.event_id AND is_on_sale(e) OFFSET 0) t
     WHERE (SELECT true FROM idempotency_keys i WHERE i.principal = r.user_id AND i.key = r.key) IS NULL),
  locked AS MATERIALIZED (
    SELECT w.req, s.event_id, s.seat_id, s.price_minor, s.currency::text AS unit
      FROM (SELECT min(u.req) AS req, u.id FROM unnest(s_req, s_seat) u(req, id)
             WHERE u.req IN (SELECT f.req FROM fresh f) GROUP BY u.id) w
      JOIN event_seats s ON s.event_id = w.id >> 20 AND s.seat_id = w.id
     WHERE (s.state = 'free' OR (s.state = 'held' AND s.hold_expires_at <= clock_timestamp()))
       AND (s.closed_until IS NULL OR s.closed_until <= clock_timestamp() OR s.allocation_id = p_allocation[w.req])
       AND (s.bundle_id IS NULL OR s.bundle_id = s.seat_id)  -- companions' seats: place_hold decides
     ORDER BY s.event_id, s.seat_id FOR UPDATE OF s SKIP LOCKED)
  SELECT (SELECT array_agg(f.req) FROM fresh f), (SELECT bool_or(f.no_orphans) FROM fresh f),
         (SELECT array_agg(k.req) FROM (SELECT c.req FROM locked c GROUP BY c.req HAVING count(*) = p_n[c.req]) k),
         array_agg(c.req), array_agg(c.seat_id), array_agg(c.price_minor), array_agg(c.unit),
         array_agg('{"ticketId":' || p.id || p.said || p.shown || '}'), array_agg('{"seatId":' || p.id || p.said || '}')
    INTO fresh, guards_singles, whole, c_req, c_seat, c_price, c_unit, c_shown, c_told
    FROM locked c CROSS JOIN LATERAL (
      SELECT l.seat_id::text AS id, place_said(l, c.price_minor, c.unit) AS said, place_shown(l, c.unit) AS shown
        FROM event_seat_labels l WHERE l.event_id = c.event_id AND l.seat_id = c.seat_id OFFSET 0) p;

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

  IF whole IS NOT NULL THEN
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
  END IF;

  -- Nothing here joins two results of the batch row by row: a batch of a hundred would be ten thousand pairs. OFFSET 0
  -- keeps each look at event_terms one by primary key, however few events there were when the plan was made; for keys
  -- a subquery does (above).
  IF l_req IS NOT NULL THEN
    WITH kept AS MATERIALIZED (
      SELECT g.*, t.summary, t.refund_percent, t.starts_at - make_interval(hours => t.cancel_until_hours) AS cancel_until,
             hold_answer(p_order[g.req], g.shown, g.until, g.price, g.unit, p_arrangement[g.req]) AS answer
        FROM (
          SELECT s.*, decimal_price(s.total, s.unit) AS price
            FROM (
              SELECT c.req, l_until[array_position(l_req, c.req)] AS until,
                     array_agg(c.id ORDER BY c.id) AS seat_ids, array_agg(c.price ORDER BY c.id) AS prices,
                     sum(c.price)::bigint AS total, min(c.unit) AS unit,
                     string_agg(c.shown, ',' ORDER BY c.id) AS shown, string_agg(c.told, ',' ORDER BY c.id) AS told
                FROM unnest(c_req, c_seat, c_price, c_unit, c_shown, c_told) c(req, id, price, unit, shown, told)
               WHERE c.req = ANY (l_req) GROUP BY c.req) s OFFSET 0) g
        CROSS JOIN LATERAL (SELECT * FROM event_terms e WHERE e.event_id = p_event[g.req] OFFSET 0) t),
    keyed AS (
      INSERT INTO idempotency_keys (principal, key, route, fingerprint, status, body)
      SELECT p_user[o.req], p_key[o.req], p_route, p_fingerprint[o.req], 201, o.answer
        FROM kept o WHERE p_key[o.req] IS NOT NULL ORDER BY 1, 2),
    held AS (
      UPDATE event_seats s
         SET state = 'held', order_id = p_order[c.req], hold_expires_at = l_until[array_position(l_req, c.req)], fence = s.fence + 1
        FROM unnest(c_req, c_seat) c(req, id)
       WHERE c.req = ANY (l_req) AND s.event_id = c.id >> 20 AND s.seat_id = c.id RETURNING 1),
    ordered AS (
      INSERT INTO orders (order_id, event_id, user_id, state, n_seats, seat_ids, price_minors, total_minor, currency,
                          hold_started_at, hold_expires_at, cancel_until, refund_percent, allocation_id)
      SELECT p_order[o.req], p_event[o.req], p_user[o.req], 'held', p_n[o.req], o.seat_ids, o.prices, o.total, o.unit,
             clock_timestamp(), o.until, o.cancel_until, o.refund_percent, p_allocation[o.req]
        FROM kept o ORDER BY o.req),
    told AS (
      INSERT INTO outbox (message_id, topic, key, type, version, body, trace)
      SELECT p_message[o.req], 'sales.order.v1', p_order[o.req]::text, 'sales.order.held', 0,
             hold_message(p_order[o.req], p_user[o.req], o.summary, o.told, o.price, o.unit)::jsonb, p_trace[o.req]
        FROM kept o ORDER BY o.req)
    SELECT array_agg(o.req), array_agg(o.answer), sum(cardinality(o.seat_ids)), (SELECT count(*) FROM held)
      INTO l_req, answers, seats, updated FROM kept o;
    IF seats IS DISTINCT FROM updated THEN
      RAISE EXCEPTION 'held % of % seats', updated, seats;  -- cannot be: they are locked
    END IF;
    RETURN QUERY SELECT p.req, 'placed', p.answer, NULL::text FROM unnest(l_req, answers) p(req, answer);
    IF cardinality(l_req) = cardinality(p_event) THEN
      RETURN;
    END IF;
  END IF;

  -- Of the others, those who were fresh and did not get every seat hear which ones; everything else is place_hold's.
  RETURN QUERY
    WITH lost AS MATERIALIZED (
      SELECT w.req, w.id, EXISTS (SELECT 1 FROM unnest(c_req, c_seat) c(req, id) WHERE c.req = w.req AND c.id = w.id) AS got
        FROM unnest(s_req, s_seat) w(req, id)
       WHERE w.req = ANY (fresh) AND NOT w.req = ANY (coalesce(l_req || whole || unclear, '{}')))
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
     GROUP BY x.req
    UNION ALL SELECT u.req, 'contested', NULL::bytea, '[]' FROM unnest(unclear) u(req);
END $$;
