#!/usr/bin/env bash
# See that nginx and Varnish are there for the tests of deploy/nginx and deploy/varnish: Debian's. Neither is started.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
if command -v nginx >/dev/null && command -v varnishd >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "nginx and varnish are not installed: the tests of their configurations will be skipped." >&2
  exit 0
fi
echo "Installing nginx and Varnish for the tests of their configurations …"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # says whether a package may start its server
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends nginx-light varnish >/dev/null
