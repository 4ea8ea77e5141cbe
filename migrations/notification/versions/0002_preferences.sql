-- What a user chose, as one document; who never chose has none. An erased user keeps a record without a document.
CREATE TABLE preferences (
  user_id uuid PRIMARY KEY,
  version bigint NOT NULL CHECK (version >= 1),
  chosen jsonb,
  changed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  erased_at timestamptz,
  CHECK ((erased_at IS NULL) = (chosen IS NOT NULL))
);

-- Where preferences are kept. A process whose settings name another place neither reads nor writes any.
CREATE TABLE preference_home (
  single boolean PRIMARY KEY DEFAULT true CHECK (single),
  home text NOT NULL CHECK (home IN ('postgresql', 'mongodb', 'carrying'))
);
INSERT INTO preference_home (home) VALUES ('postgresql');

-- Of those who are gone: whether their preferences are too. A job sees to it, wherever those are.
ALTER TABLE contacts ADD COLUMN preferences_erased_at timestamptz;
CREATE INDEX contacts_to_erase ON contacts (user_id) WHERE erased_at IS NOT NULL AND preferences_erased_at IS NULL;

-- What identity told of them so far. The columns stay until no process of the version before writes them.
INSERT INTO preferences (user_id, version, chosen)
SELECT user_id, 1, jsonb_build_object(
  'receiveEmail', receive_email, 'receiveSms', receive_sms, 'receivePush', receive_push, 'language', language
)
FROM contacts
WHERE erased_at IS NULL AND NOT (receive_email AND NOT receive_sms AND NOT receive_push AND language = 'en');
