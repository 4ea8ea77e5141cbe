-- A person's account. email_key is the address in the form in which two spellings of one address are the same.
CREATE TABLE users (
  user_id uuid PRIMARY KEY,
  state text NOT NULL DEFAULT 'unverified' CHECK (state IN ('unverified', 'verified', 'erased')),
  email text,
  email_key text UNIQUE,
  name text,
  phone text,
  password_hash text,
  staff_roles text[] NOT NULL DEFAULT '{}' CHECK (staff_roles <@ ARRAY['support', 'administrator', 'service']),
  receive_email boolean NOT NULL DEFAULT true,
  receive_sms boolean NOT NULL DEFAULT false,
  receive_push boolean NOT NULL DEFAULT false,
  preferred_language text NOT NULL DEFAULT 'en',
  version bigint NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  verified_at timestamptz,
  erased_at timestamptz,
  -- An erased account keeps its id, so that orders still name somebody, and nothing that tells who it was.
  CHECK ((state = 'erased') = (email IS NULL)),
  CHECK ((email IS NULL) = (email_key IS NULL)),
  CHECK (state <> 'erased' OR (name IS NULL AND phone IS NULL AND password_hash IS NULL AND staff_roles = '{}')),
  CHECK (state = 'erased' OR (name IS NOT NULL AND password_hash IS NOT NULL)),
  CHECK ((state = 'erased') = (erased_at IS NOT NULL))
);

-- One login of one client: the family of all refresh tokens that came from it.
CREATE TABLE logins (
  login_id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users,
  state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'ended', 'revoked')),
  begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  idle_until timestamptz NOT NULL,
  absolute_until timestamptz NOT NULL,
  closed_at timestamptz,
  closed_because text,
  CHECK ((state = 'open') = (closed_at IS NULL))
);
CREATE INDEX logins_user ON logins (user_id);
CREATE INDEX logins_end ON logins (idle_until);

-- Only hashes: who reads this table can refresh nothing. sealed_successor opens only with the token itself.
CREATE TABLE refresh_tokens (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  login_id uuid NOT NULL REFERENCES logins ON DELETE CASCADE,
  state text NOT NULL DEFAULT 'current' CHECK (state IN ('current', 'rotated')),
  issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  rotated_at timestamptz,
  rotated_by_key text,
  sealed_successor bytea,
  CHECK ((state = 'rotated') = (rotated_at IS NOT NULL))
);
-- The second guard: whatever the code does, a login never has two tokens that both work.
CREATE UNIQUE INDEX refresh_token_one_current ON refresh_tokens (login_id) WHERE state = 'current';
CREATE INDEX refresh_tokens_login ON refresh_tokens (login_id);

-- What a mailed link proves: that its reader reads the mail of that address.
CREATE TABLE one_time_links (
  token_hash bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
  link_number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  purpose text NOT NULL CHECK (purpose IN ('verify_email', 'reset_password')),
  state text NOT NULL DEFAULT 'issued' CHECK (state IN ('issued', 'used', 'withdrawn')),
  issued_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL,
  used_at timestamptz,
  CHECK ((state = 'used') = (used_at IS NOT NULL))
);
CREATE INDEX one_time_links_user ON one_time_links (user_id, purpose, state);

-- Asked for, not answered yet: noting a wish takes the same time whether the address is known or not.
CREATE TABLE reset_requests (
  email_key text PRIMARY KEY,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE organisations (
  organisation_id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(slug) <= 80),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE memberships (
  organisation_id uuid NOT NULL REFERENCES organisations,
  user_id uuid NOT NULL REFERENCES users,
  role text NOT NULL CHECK (role IN ('owner', 'manager', 'box_office', 'scanner')),
  joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (organisation_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);
