#!/usr/bin/env bash
# Run a command with its temporary files in memory where there is plenty of it, so that no test waits for a slow disk.
# What has to survive a killed process survives there too; only a power cut, which no test makes, would differ.
set -euo pipefail
room=/dev/shm need_kib=$((8 * 1024 * 1024)) spare_kib=$((8 * 1024 * 1024))
free_kib=$(df --output=avail "$room" 2>/dev/null | tail -n 1 || true)
memory_kib=$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)
if [ -w "$room" ] && ((${free_kib:-0} >= need_kib)) && ((memory_kib >= need_kib + spare_kib)) &&
  ! grep -q "^[^ ]* $room [^ ]* [^ ]*noexec" /proc/mounts; then
  TMPDIR=$(mktemp -d "$room/box-XXXXXX")
  chmod 1777 "$TMPDIR" # as /tmp: servers of the tests that give up root's rights write there, too
  export TMPDIR
  trap 'rm -rf "$TMPDIR"' EXIT
  echo "temporary files: in memory ($TMPDIR)"
fi
"$@"
