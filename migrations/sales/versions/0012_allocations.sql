-- Allocations of an event: seats set aside for house, artist, sponsor, channel, accessible; kill: never sold until undone.
-- A closed one whose release_at has passed is open: the clock says so, and a job only writes it down. Of an open one
-- release_at is the instant at which it opened. Its seats carry its id and, as closed_until, its release_at ('infinity'
-- when it has none), whatever their state; a released allocation has none.
CREATE TABLE allocations (
  allocation_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id bigint NOT NULL,
  kind text NOT NULL CHECK (kind IN ('house','artist','sponsor','channel','accessible','kill')),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  state text NOT NULL DEFAULT 'closed' CHECK (state IN ('closed','open','released')),
  release_at timestamptz,
  code_hash bytea CHECK (length(code_hash) = 32),    -- SHA-256 of the access code, which is kept nowhere
  version bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Nothing opens what is killed: no code, no hour, no hand. Giving its seats back undoes it.
  CONSTRAINT killed_is_not_sold CHECK (kind <> 'kill' OR (code_hash IS NULL AND release_at IS NULL AND state <> 'open')),
  CONSTRAINT open_since CHECK (state <> 'open' OR release_at IS NOT NULL),
  CONSTRAINT released_has_no_code CHECK (state <> 'released' OR code_hash IS NULL)
);
CREATE INDEX allocations_of_event ON allocations (event_id);
CREATE UNIQUE INDEX allocations_of_code ON allocations (event_id, code_hash) WHERE code_hash IS NOT NULL;
CREATE INDEX allocations_due ON allocations (release_at) WHERE state = 'closed' AND release_at IS NOT NULL;

ALTER TABLE event_seats ADD CONSTRAINT set_aside_until CHECK (allocation_id IS NULL OR closed_until IS NOT NULL);

-- Whether a seat is offered to a request: not set aside, or set aside until now, or for the request's own allocation.
-- Never NULL: a request without an allocation is refused a closed seat, and told so. One expression, so that it is
-- inlined into every statement that asks.
CREATE OR REPLACE FUNCTION is_offered(closed_until timestamptz, allocation_id bigint, wanted_allocation bigint) RETURNS boolean
LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(closed_until <= clock_timestamp() OR allocation_id = wanted_allocation, closed_until IS NULL)
$$;
