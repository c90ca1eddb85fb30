#!/usr/bin/env bash
# A week before sites change their clocks: a branch with the new UTC offsets, and a pull request for it. Closes it where
# nothing is due any more.
#
#   FLEET   the fleet's folder (default: the repository's top)
#   WITHIN  how many days ahead (default: 8, for a run a week)
#   AT      a day instead of today
#   MAIN    the branch into which it goes (default: the one that is checked out)
#   OUT     where clock.txt is written
#
# A branch that holds the same files already is left as it is. Fails where no offset can be written, and a person must.
set -euo pipefail
: "${OUT:?}"
source "$(dirname "$0")/guarded.sh"
mkdir -p "$OUT"
branch=offhook/clock
at=()
if [[ -n ${AT:-} ]]; then at=(--at "$AT"); fi
clock() {
  local code=0
  offhook -C "${FLEET:-.}" clock --within "${WITHIN:-8}" "${at[@]}" --write --exit-code > "$OUT/clock.txt" || code=$?
  cat "$OUT/clock.txt"
  return "$code"
}
result=0
guarded clock || result=$?
base=${MAIN:-$(git rev-parse --abbrev-ref HEAD)}
if ((result == 4)); then
  if git diff --quiet HEAD; then
    echo "no new offset can be written: a person must put them in, see above" >&2
    exit 1
  fi
  git switch -q --force-create "$branch"
  git -c user.name="${GIT_NAME:-github-actions[bot]}" -c user.email="${GIT_MAIL:-41898282+github-actions[bot]@users.noreply.github.com}" \
    commit -q -a -m "clock: sites change their UTC offsets"
  there=""
  if git fetch -q origin "$branch" 2> /dev/null; then there=$(git rev-parse "FETCH_HEAD^{tree}"); fi
  if [[ $there != $(git rev-parse "HEAD^{tree}") ]]; then git push -q --force origin "$branch"; fi
elif ((result != 0)); then
  exit "$result"
fi
DUE=$result BASE=$base CHANGES="$OUT/clock.txt" python3 "$(dirname "$0")/pull.py"
