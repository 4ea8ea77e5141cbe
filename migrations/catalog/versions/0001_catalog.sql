CREATE TABLE categories (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  description text NOT NULL DEFAULT '',
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX categories_name ON categories (lower(name));

CREATE TABLE venues (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organisation_id uuid NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  description text NOT NULL DEFAULT '',
  location text NOT NULL,
  total_seats int NOT NULL CHECK (total_seats >= 0),
  time_zone text NOT NULL,
  latitude float8 CHECK (latitude BETWEEN -90 AND 90),
  longitude float8 CHECK (longitude BETWEEN -180 AND 180),
  city text,
  region text,
  country text,
  source text,  -- what an importer calls it; null for venues that people made
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at timestamptz,
  CHECK ((latitude IS NULL) = (longitude IS NULL))
);
CREATE UNIQUE INDEX venues_source ON venues (organisation_id, source) WHERE deleted_at IS NULL;

CREATE TABLE seat_maps (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  venue_id bigint NOT NULL REFERENCES venues,
  version int NOT NULL,
  name text NOT NULL,
  credit text NOT NULL,
  document json NOT NULL,  -- not jsonb: it goes out as it came in
  fingerprint bytea NOT NULL,
  places int NOT NULL CHECK (places > 0),
  sellable int NOT NULL CHECK (sellable BETWEEN 0 AND places),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (venue_id, version),
  UNIQUE (venue_id, fingerprint),
  UNIQUE (venue_id, id)
);

CREATE FUNCTION seat_map_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a seat map never changes: post a new version';
END $$;
CREATE TRIGGER seat_map_stays BEFORE UPDATE ON seat_maps FOR EACH ROW EXECUTE FUNCTION seat_map_stays();

CREATE TABLE events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  organisation_id uuid NOT NULL,
  status text NOT NULL CHECK (status IN ('draft', 'published', 'cancelled', 'deleted')),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  description text NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  on_sale_at timestamptz,
  off_sale_at timestamptz,
  published_at timestamptz,
  venue_id bigint NOT NULL REFERENCES venues,
  category_id bigint REFERENCES categories,
  seat_map_id bigint,
  capacity int CHECK (capacity >= 0),
  currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  limit_per_customer int NOT NULL CHECK (limit_per_customer >= 1),
  hold_minutes int NOT NULL CHECK (hold_minutes >= 1),
  cancel_until_hours int NOT NULL CHECK (cancel_until_hours >= 0),
  refund_percent int NOT NULL CHECK (refund_percent BETWEEN 0 AND 100),
  programme jsonb NOT NULL DEFAULT '[]',
  source text,  -- what an importer calls it; null for events that people made
  source_fingerprint bytea,  -- of the record as it was read, so that a second import changes nothing
  source_version bigint,  -- the version that the importer wrote last; a higher one was changed by people
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (ends_at > starts_at),
  CHECK (off_sale_at >= on_sale_at),
  CHECK (status <> 'published' OR published_at IS NOT NULL),
  FOREIGN KEY (venue_id, seat_map_id) REFERENCES seat_maps (venue_id, id)
);
CREATE UNIQUE INDEX events_source ON events (organisation_id, source) WHERE source IS NOT NULL;
CREATE INDEX events_by_start ON events (starts_at, id);
CREATE INDEX events_by_venue ON events (venue_id);
CREATE INDEX events_by_category ON events (category_id);
CREATE INDEX events_by_organisation ON events (organisation_id, starts_at);

-- How far a season was shifted when it was staged "so that it starts soon": a second run stages it at the same dates.
CREATE TABLE staged_seasons (
  organisation_id uuid NOT NULL,
  season text NOT NULL,
  shift_weeks int NOT NULL,
  last_starts_at timestamptz NOT NULL,
  PRIMARY KEY (organisation_id, season)
);
