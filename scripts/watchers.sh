#!/usr/bin/env bash
# See that Prometheus and its promtool are there for the tests of rules and dashboards: Debian's. It is not started.
set -euo pipefail
if command -v prometheus >/dev/null && command -v promtool >/dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "prometheus is not installed: the tests of its rules and of dashboards will be skipped." >&2
  exit 0
fi
echo "Installing Prometheus for the tests of its rules …"
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d # says whether a package may start its server
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends prometheus >/dev/null
