#!/usr/bin/env bash
# A week before sites change their clocks: a branch with the new UTC offsets, and a pull request for it.
#
#   FLEET   the fleet's folder (default: the repository's top)
#   WITHIN  how many days ahead (default: 8, for a run a week)
#   AT      a day instead of today
#   OUT     where clock.txt is written
set -euo pipefail
: "${OUT:?}"
mkdir -p "$OUT"
at=()
if [[ -n ${AT:-} ]]; then at=(--at "$AT"); fi
result=0
offhook -C "${FLEET:-.}" clock --within "${WITHIN:-8}" "${at[@]}" --write --exit-code > "$OUT/clock.txt" || result=$?
cat "$OUT/clock.txt"
if ((result == 0)); then exit 0; fi
((result == 4)) || exit "$result"
base=$(git rev-parse --abbrev-ref HEAD)
git switch -q --force-create offhook/clock
git -c user.name="${GIT_NAME:-github-actions[bot]}" -c user.email="${GIT_MAIL:-41898282+github-actions[bot]@users.noreply.github.com}" \
  commit -q -a -m "clock: sites change their UTC offsets"
git push -q --force origin offhook/clock
BASE=$base CHANGES="$OUT/clock.txt" python3 "$(dirname "$0")/pull.py"
