#!/usr/bin/env bash
# Is what phones fetch still what was published? Opens an issue where it is not, updates it, and closes it when it is.
#
#   ENVIRONMENT  which one
#   FLEET        the fleet's folder (default: the repository's top)
#   OUT          where status.json and status.txt are written
#
# Only an answer of offhook counts: where it can give none (nothing was published, the root or the state cannot be read,
# the inventory has mistakes) this fails with its error, and the issue stays as it is.
set -euo pipefail
: "${ENVIRONMENT:?}" "${OUT:?}"
source "$(dirname "$0")/guarded.sh"
mkdir -p "$OUT"
look() { offhook -C "${FLEET:-.}" status "$ENVIRONMENT" --format json > "$OUT/status.json"; }
result=0
guarded look || result=$?
((result <= 1)) || exit "$result"
[[ -s $OUT/status.json ]] || exit 1
STATUS="$OUT/status.json" SHOWN="$OUT/status.txt" python3 "$(dirname "$0")/issue.py"
