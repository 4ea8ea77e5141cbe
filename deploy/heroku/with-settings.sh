#!/usr/bin/env bash
# Run a command with the settings that a dyno is not given in the product's own form: keys as files, a TLS Redis URL.
# A dyno's disk is empty at every start, so the keys are config variables (TOKEN_KEY_PEM, TICKET_KEY_PEM) and the search
# index is made anew from the catalog.
set -euo pipefail
umask 077

folder=$(mktemp --directory)
printf '%s\n' "${TOKEN_KEY_PEM:?set it to an Ed25519 private key in PEM: openssl genpkey -algorithm ed25519}" >"$folder/tokens.pem"
printf '%s\n' "${TICKET_KEY_PEM:?set it to another Ed25519 private key in PEM}" >"$folder/tickets.pem"
mkdir "$folder/search"

# Heroku signs its Redis certificates itself: the connection is encrypted, the server's name is not proven.
redis=${REDIS_URL:?attach the add-on heroku-redis}
case $redis in
  rediss://*) redis="$redis?ssl_cert_reqs=none" ;;
esac

export BOXOFFICE_REDIS_URL=$redis
export BOXOFFICE_SIGNING_KEY_FILE=$folder/tokens.pem
export BOXOFFICE_TICKET_KEY_FILE=$folder/tickets.pem
export BOXOFFICE_SEARCH_INDEX_DIR=$folder/search
exec "$@"
