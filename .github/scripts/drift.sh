#!/usr/bin/env bash
# Is what phones fetch still what was published? Opens an issue where it is not, updates it, and closes it when it is.
#
#   ENVIRONMENT  which one
#   FLEET        the fleet's folder (default: the repository's top)
#   OUT          where status.txt is written
set -euo pipefail
: "${ENVIRONMENT:?}" "${OUT:?}"
mkdir -p "$OUT"
result=0
offhook -C "${FLEET:-.}" status "$ENVIRONMENT" > "$OUT/status.txt" || result=$?
cat "$OUT/status.txt"
((result <= 1)) || exit "$result"
DRIFTED=$result STATUS="$OUT/status.txt" python3 "$(dirname "$0")/issue.py"
