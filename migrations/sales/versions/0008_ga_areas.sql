-- General admission: an area is capacity without seats. Its places are numbered through all the same, so that an order
-- names them, a ticket is for one of them, and ticket_one_live guards them like seats: seat_id = event_id << 20 | place.

CREATE FUNCTION places_in(places int4multirange) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(sum(upper(run) - lower(run)), 0)::int FROM unnest(places) run
$$;

-- One record an area. Who has a place that is neither free nor blocked: the one open order or the one live ticket that
-- names it. n_free is counted apart from the list itself, so that a place which is given back twice, or taken where it
-- was not free, cannot be written at all. No index on what changes, room on the page: updates stay HOT.
CREATE TABLE ga_areas (
  event_id bigint NOT NULL,
  area text NOT NULL,                                -- the price level; on a ticket it reads as the section
  first_place int NOT NULL,
  capacity int NOT NULL,
  price_minor bigint NOT NULL CHECK (price_minor >= 0),
  currency char(3) NOT NULL,
  free int4multirange NOT NULL,
  n_free int NOT NULL,
  blocked int4multirange NOT NULL DEFAULT '{}',
  version bigint NOT NULL DEFAULT 0,                 -- grows with every change
  PRIMARY KEY (event_id, area),
  UNIQUE (event_id, first_place),
  CHECK (first_place >= 0 AND capacity >= 1 AND first_place + capacity <= 1 << 20),
  CONSTRAINT ga_free_counted CHECK (n_free = places_in(free)),
  CONSTRAINT ga_free_inside CHECK (free <@ int4range(first_place, first_place + capacity)),
  CONSTRAINT ga_blocked_inside CHECK (blocked <@ int4range(first_place, first_place + capacity)),
  CONSTRAINT ga_blocked_not_free CHECK (NOT free && blocked)
) WITH (fillfactor = 50);

-- The places of a list of event seats that lie in areas, by area.
CREATE FUNCTION ga_places_of(p_seats bigint[]) RETURNS TABLE (event_id bigint, area text, places int4multirange, n int)
LANGUAGE sql STABLE AS $$
  SELECT a.event_id, a.area, range_agg(int4range(w.place, w.place + 1)), count(*)::int
    FROM (SELECT id >> 20 AS event_id, (id & 1048575)::int AS place FROM unnest(p_seats) s(id)) w
    JOIN ga_areas a ON a.event_id = w.event_id AND w.place >= a.first_place AND w.place < a.first_place + a.capacity
   GROUP BY a.event_id, a.area
$$;

CREATE FUNCTION places_among(p_seats bigint[]) RETURNS int LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(n), 0)::int FROM ga_places_of(p_seats)
$$;

CREATE FUNCTION is_place(p_event bigint, p_seat bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM ga_areas a WHERE a.event_id = p_event AND p_seat >> 20 = p_event
    AND (p_seat & 1048575) >= a.first_place AND (p_seat & 1048575) < a.first_place + a.capacity)
$$;

-- The first n places of a free list (all of them when there are fewer).
CREATE FUNCTION first_places(free int4multirange, n int) RETURNS int4multirange
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  run int4range;
  taken int4multirange := '{}';
  missing int := n;
BEGIN
  FOR run IN SELECT r FROM unnest(free) r ORDER BY lower(r) LOOP
    EXIT WHEN missing = 0;
    run := int4range(lower(run), least(upper(run), lower(run) + missing));
    taken := taken + run::int4multirange;
    missing := missing - (upper(run) - lower(run));
  END LOOP;
  RETURN taken;
END $$;

-- Take places for requests that wait together: one lock and one update of the area's record for all of them, which is
-- why this outruns a counter that each of them would have to lock. Decided in their order, each all or nothing; a large
-- one that no longer fits is passed over, a smaller one behind it is not. places: of those granted, one after another.
CREATE FUNCTION claim_places(p_event bigint, p_area text, p_wants int[], OUT granted boolean[], OUT places int[])
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  remaining int;
  before int;
  was int4multirange;
  taken int4multirange;
  want int;
BEGIN
  SELECT free, n_free, n_free INTO STRICT was, before, remaining
    FROM ga_areas WHERE event_id = p_event AND area = p_area FOR UPDATE;
  granted := '{}';
  places := '{}';
  FOREACH want IN ARRAY p_wants LOOP
    granted := granted || (want <= remaining);
    IF want <= remaining THEN
      remaining := remaining - want;
    END IF;
  END LOOP;
  IF remaining < before THEN
    taken := first_places(was, before - remaining);
    UPDATE ga_areas SET free = was - taken, n_free = remaining, version = version + 1
     WHERE event_id = p_event AND area = p_area;
    places := ARRAY (SELECT place FROM unnest(taken) run, generate_series(lower(run), upper(run) - 1) place);
  END IF;
END $$;

-- Take these very places, wherever they lie; false (and nothing is kept by the caller) when one of them is not free.
CREATE FUNCTION claim_these(p_seats bigint[]) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  taken int;
BEGIN
  PERFORM FROM ga_areas a JOIN ga_places_of(p_seats) g USING (event_id, area) ORDER BY a.event_id, a.area FOR UPDATE OF a;
  WITH took AS (
    UPDATE ga_areas a SET free = a.free - g.places, n_free = a.n_free - g.n, version = a.version + 1
      FROM ga_places_of(p_seats) g
     WHERE a.event_id = g.event_id AND a.area = g.area AND a.free @> g.places RETURNING g.n)
  SELECT sum(n) INTO taken FROM took;
  RETURN taken = cardinality(p_seats);
END $$;

-- Give places back to their areas (event seats among the ids are passed over); returns how many. The last lock that a
-- transaction takes: whoever holds an area waits for nobody but the next area.
CREATE FUNCTION return_places(p_seats bigint[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  given int;
BEGIN
  PERFORM FROM ga_areas a JOIN ga_places_of(p_seats) g USING (event_id, area) ORDER BY a.event_id, a.area FOR UPDATE OF a;
  WITH gave AS (
    UPDATE ga_areas a SET free = a.free + g.places, n_free = a.n_free + g.n, version = a.version + 1
      FROM ga_places_of(p_seats) g WHERE a.event_id = g.event_id AND a.area = g.area RETURNING g.n)
  SELECT coalesce(sum(n), 0) INTO given FROM gave;
  RETURN given;
END $$;

-- The places of an event that are in holds which ran out: anybody's, though nobody has ended those orders yet.
CREATE FUNCTION ga_run_out(p_event bigint) RETURNS TABLE (area text, places int4multirange, n int) LANGUAGE sql VOLATILE AS $$
  SELECT g.area, g.places, g.n FROM (
    SELECT array_agg(s.id) AS ids FROM orders o CROSS JOIN unnest(o.seat_ids) s(id)
     WHERE o.state = 'held' AND o.hold_expires_at <= clock_timestamp() AND o.event_id = p_event) due
   CROSS JOIN LATERAL ga_places_of(due.ids) g
$$;

-- How an event's areas stand now; free + held + sold + blocked is the capacity.
CREATE FUNCTION ga_counts(p_event bigint) RETURNS TABLE (
  area text, first_place int, capacity int, price_minor bigint, currency char(3), version bigint,
  free int, held int, sold int, blocked int
) LANGUAGE sql VOLATILE AS $$
  SELECT a.area, a.first_place, a.capacity, a.price_minor, a.currency, a.version, a.n_free + coalesce(r.n, 0),
         a.capacity - a.n_free - coalesce(r.n, 0) - places_in(a.blocked) - k.sold, k.sold, places_in(a.blocked)
    FROM ga_areas a
    LEFT JOIN ga_run_out(p_event) r ON r.area = a.area
    CROSS JOIN LATERAL (
      SELECT count(*)::int AS sold FROM tickets t
       WHERE t.event_id = p_event AND t.state IN ('valid', 'used')
         AND t.seat_id >= (p_event << 20) + a.first_place AND t.seat_id < (p_event << 20) + a.first_place + a.capacity) k
   WHERE a.event_id = p_event ORDER BY a.first_place
$$;

-- A place as if it were a seat: the area is its section, and it has no row.
CREATE FUNCTION ga_label(p_event bigint, p_area text, p_first int, p_place int) RETURNS event_seat_labels
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  label event_seat_labels;
BEGIN
  label.event_id := p_event;
  label.seat_id := p_event << 20 | p_place;
  label.section := p_area;
  label.row_label := '';
  label.number := (p_place - p_first + 1)::text;
  label.block := 0;
  label.position := p_place - p_first;
  label.price_level := p_area;
  RETURN label;
END $$;

-- Places of an event with their prices and states now, as event seats are listed; all of them, or those of p_ids.
CREATE FUNCTION ga_listed(p_event bigint, p_ids bigint[]) RETURNS TABLE (
  seat_id bigint, section text, row_label text, number text, block int, "position" int, mark text, price_level text,
  external_id text, price_minor bigint, currency char(3), state text
) LANGUAGE sql VOLATILE AS $$
  SELECT p_event << 20 | w.place, a.area, '', (w.place - a.first_place + 1)::text, 0, w.place - a.first_place, NULL, a.area,
         NULL, a.price_minor, a.currency,
         CASE WHEN a.free @> w.place OR r.places @> w.place THEN 'free' WHEN a.blocked @> w.place THEN 'blocked'
              WHEN k.seat_id IS NOT NULL THEN 'sold' ELSE 'held' END
    FROM ga_areas a
    LEFT JOIN ga_run_out(p_event) r ON r.area = a.area
    CROSS JOIN LATERAL (
      SELECT generate_series(a.first_place, a.first_place + a.capacity - 1) AS place WHERE p_ids IS NULL
      UNION ALL
      SELECT (s.id & 1048575)::int FROM unnest(p_ids) s(id)
       WHERE s.id >> 20 = p_event AND (s.id & 1048575) >= a.first_place AND (s.id & 1048575) < a.first_place + a.capacity) w
    LEFT JOIN tickets k ON k.event_id = p_event AND k.seat_id = (p_event << 20 | w.place) AND k.state IN ('valid', 'used')
   WHERE a.event_id = p_event ORDER BY 1
$$;

-- The places of an order as sales.order.v1 tells them; an area's as seats without a row.
CREATE OR REPLACE FUNCTION order_places(p_event bigint, p_seats bigint[]) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_agg(jsonb_build_object('seatId', w.seat_id, 'section', w.section, 'row', w.row_label, 'number', w.number,
           'price', decimal_price(w.price_minor, w.currency), 'priceLevel', w.price_level) ORDER BY w.seat_id)
    FROM (
      SELECT s.seat_id, l.section, l.row_label, l.number, l.price_level, s.price_minor, s.currency
        FROM event_seats s JOIN event_seat_labels l USING (event_id, seat_id)
       WHERE s.event_id = p_event AND s.seat_id = ANY (p_seats)
      UNION ALL
      SELECT i.id, a.area, '', ((i.id & 1048575) - a.first_place + 1)::text, a.area, a.price_minor, a.currency
        FROM ga_areas a CROSS JOIN unnest(p_seats) i(id)
       WHERE a.event_id = p_event AND i.id >> 20 = p_event
         AND (i.id & 1048575) >= a.first_place AND (i.id & 1048575) < a.first_place + a.capacity) w
$$;
