-- How to reach a user, as identity told it last. An erased user keeps the record (nothing personal is left in it), so
-- that an older message which arrives late does not bring the person back.
CREATE TABLE contacts (
  user_id uuid PRIMARY KEY,
  name text,
  email text,
  language text NOT NULL DEFAULT 'en',
  receive_email boolean NOT NULL DEFAULT true,
  receive_sms boolean NOT NULL DEFAULT false,
  receive_push boolean NOT NULL DEFAULT false,
  version bigint NOT NULL,
  erased_at timestamptz,
  CHECK (erased_at IS NULL OR (name IS NULL AND email IS NULL))
);

-- One mail to one user. (aggregate, template) is what makes a repeated message send nothing twice.
CREATE TABLE mail_jobs (
  job_id uuid PRIMARY KEY,
  aggregate text NOT NULL CHECK (length(aggregate) BETWEEN 1 AND 200),
  template text NOT NULL,
  user_id uuid NOT NULL,
  booking_id uuid,
  title text NOT NULL CHECK (length(title) <= 500),
  facts jsonb NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'undeliverable', 'dropped')),
  attempts int NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  give_up_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  sent_at timestamptz,
  last_error text,
  UNIQUE (aggregate, template),
  CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);
CREATE INDEX mail_jobs_due ON mail_jobs (due_at) WHERE state = 'waiting';
CREATE INDEX mail_jobs_of_user ON mail_jobs (user_id, created_at DESC, job_id);
CREATE INDEX mail_jobs_age ON mail_jobs USING brin (created_at);
