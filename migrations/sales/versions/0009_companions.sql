-- What a buyer is told of a place before paying, such as that the view is limited.
ALTER TABLE event_seat_labels ADD COLUMN notice text CHECK (length(notice) BETWEEN 1 AND 200);

-- Form the bundles of an event; called once, when its seats were created. A companion's seat belongs to the nearest
-- wheelchair place of its block with nothing but companions' seats between them (of two equally near, the left one).
CREATE FUNCTION link_companions(p_event bigint) RETURNS void LANGUAGE sql AS $$
  WITH marked AS MATERIALIZED (
    SELECT seat_id, section, row_label, block, position, mark FROM event_seat_labels
     WHERE event_id = p_event AND mark IN ('wheelchair', 'companion')),
  pairs AS (
    SELECT DISTINCT ON (c.seat_id) c.seat_id, w.seat_id AS bundle_id
      FROM marked c JOIN marked w ON w.mark = 'wheelchair' AND w.section = c.section AND w.row_label = c.row_label
       AND w.block = c.block
     WHERE c.mark = 'companion' AND (
       SELECT count(*) FROM marked b WHERE b.section = c.section AND b.row_label = c.row_label AND b.block = c.block
          AND b.mark = 'companion' AND b.position > least(c.position, w.position)
          AND b.position < greatest(c.position, w.position)) = abs(c.position - w.position) - 1
     ORDER BY c.seat_id, abs(c.position - w.position), w.position)
  UPDATE event_seats s SET bundle_id = p.bundle_id
    FROM (SELECT seat_id, bundle_id FROM pairs UNION SELECT bundle_id, bundle_id FROM pairs) p
   WHERE s.event_id = p_event AND s.seat_id = p.seat_id
$$;
SELECT link_companions(event_id) FROM (SELECT DISTINCT event_id FROM event_seat_labels WHERE mark = 'companion') e;

-- The guard, whoever writes: a companion's seat is never taken without the wheelchair place of its bundle in the same
-- order. Checked at the end of the statement, so that a hold, an exchange or a release moves a bundle at once. A
-- companion's seat whose hold ran out is open to others, and no longer anybody's.
CREATE FUNCTION guard_bundle() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  alone jsonb;
BEGIN
  SELECT jsonb_agg(jsonb_build_object('ticketId', l.seat_id, 'section', l.section, 'row', l.row_label, 'number', l.number))
    INTO alone
    FROM event_seats c JOIN event_seats w ON w.event_id = c.event_id AND w.seat_id = c.bundle_id
    JOIN event_seat_labels l ON l.event_id = c.event_id AND l.seat_id = w.seat_id
   WHERE c.event_id = NEW.event_id AND c.bundle_id = NEW.bundle_id AND c.seat_id <> c.bundle_id
     AND c.seat_id BETWEEN NEW.bundle_id - 16 AND NEW.bundle_id + 16  -- one block, so near in the numbering
     AND c.order_id IS NOT NULL AND NOT is_open(c.state, c.hold_expires_at) AND w.order_id IS DISTINCT FROM c.order_id;
  IF alone IS NOT NULL THEN
    RAISE EXCEPTION 'companion alone' USING ERRCODE = 'BX011', DETAIL = jsonb_build_object('wheelchairPlaces', alone)::text;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER companions_go_with_their_wheelchair_place AFTER UPDATE OF order_id ON event_seats FOR EACH ROW
  WHEN (NEW.bundle_id IS NOT NULL AND OLD.order_id IS DISTINCT FROM NEW.order_id) EXECUTE FUNCTION guard_bundle();

CREATE OR REPLACE FUNCTION shown_place(l event_seat_labels, price_minor bigint, unit text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT '{"ticketId":' || l.seat_id || ',"section":' || json_text(l.section) || ',"row":' || json_text(l.row_label)
      || ',"number":' || json_text(l.number) || ',"price":"' || decimal_price(price_minor, unit)
      || '","currency":"' || unit || '","priceLevel":' || json_text(l.price_level)
      || ',"status":"HELD","mark":' || json_text(l.mark) || ',"notice":' || json_text(l.notice) || '}'
$$;
