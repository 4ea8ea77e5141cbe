#!/usr/bin/env bash
# Install the locked packages into .venv: "run" what the shop needs, "develop" what tests and checks need too.
# Assumes nothing but Python >= 3.11; PYTHON=path says which.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?run or develop}
uv_version=0.13.8

python=""
for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  if [ -n "${PYTHON:-}" ]; then here="$PYTHON is none"; else here="python3 here is $(python3 --version 2>&1)"; fi
  echo "Boxoffice needs Python 3.11 or newer; $here." >&2
  exit 1
fi

if [ ! -x .venv/bin/python ]; then
  [ -n "${PYTHON:-}" ] || python=$("$python" scripts/quickest_python.py || echo "$python")
  if ! "$python" -m venv .venv 2>/dev/null; then
    rm -rf .venv
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
      apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
      "$python" -m venv .venv
    else
      echo "$python cannot make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2
      exit 1
    fi
  fi
fi
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$uv_version" ]; then
  echo "Installing uv $uv_version …"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$uv_version"
fi
echo "Installing the locked packages …"
if [ "$kind" = develop ]; then
  UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --frozen --inexact --quiet
  touch .venv/.runs .venv/.develops
else
  UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --frozen --inexact --quiet --no-dev
  touch .venv/.runs
fi
