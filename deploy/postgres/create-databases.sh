#!/usr/bin/env bash
# One database and one role for each service that owns one; a role may connect to its own database only.
# PostgreSQL's image runs this once, on an empty volume. Passwords come from IDENTITY_DATABASE_PASSWORD and its like.
# With CDC_PASSWORD there is a role cdc too, as which Debezium reads the outboxes; `boxoffice connectors apply` lets it in.
set -euo pipefail

for service in identity catalog sales notification; do
  variable="${service^^}_DATABASE_PASSWORD"
  password="${!variable:-}"
  [ -n "$password" ] || { echo "$variable: set it to the password of the role $service" >&2; exit 1; }
  psql --set ON_ERROR_STOP=1 --quiet --no-psqlrc --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set service="$service" --set password="$password" <<'SQL'
CREATE ROLE :"service" LOGIN PASSWORD :'password';
CREATE DATABASE :"service" OWNER :"service";
REVOKE CONNECT ON DATABASE :"service" FROM PUBLIC;
SQL
done

if [ -n "${CDC_PASSWORD:-}" ]; then
  psql --set ON_ERROR_STOP=1 --quiet --no-psqlrc --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set password="$CDC_PASSWORD" <<'SQL'
CREATE ROLE cdc LOGIN REPLICATION PASSWORD :'password';
SQL
fi
