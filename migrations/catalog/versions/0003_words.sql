-- What of an event is looked for by beginnings of words. "simple": the same words in every language, none left out.
CREATE FUNCTION event_words(name text, description text, programme jsonb) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT to_tsvector('pg_catalog.simple', name || ' ' || description)
      || jsonb_to_tsvector('pg_catalog.simple', programme, '["string"]')
$$;
CREATE FUNCTION venue_words(name text, location text, city text, region text, country text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT to_tsvector('pg_catalog.simple', name || ' ' || location || ' ' || coalesce(city, '') || ' '
      || coalesce(region, '') || ' ' || coalesce(country, ''))
$$;
CREATE INDEX events_by_words ON events USING gin (event_words(name, description, programme));
CREATE INDEX venues_by_words ON venues USING gin (venue_words(name, location, city, region, country));
