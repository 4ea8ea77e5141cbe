#!/usr/bin/env bash
# See that nginx, Varnish and Prometheus are there for the tests of what deploy/ says to them: Debian's. None is started.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
missing=()
command -v nginx >/dev/null || missing+=(nginx-light)
command -v varnishd >/dev/null || missing+=(varnish)
{ command -v prometheus && command -v promtool; } >/dev/null || missing+=(prometheus)
if [ ${#missing[@]} = 0 ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "${missing[*]}: not installed, so the tests of their configurations will be skipped." >&2
  exit 0
fi
echo "Installing ${missing[*]} for the tests of their configurations …"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # says whether a package may start its server
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
