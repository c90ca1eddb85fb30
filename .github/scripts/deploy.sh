#!/usr/bin/env bash
# Carries out a plan; or, without one, goes on with a rollout that was left to wait for a maintenance window.
#
#   ENVIRONMENT  which one
#   FLEET        the fleet's folder (default: the repository's top)
#   PLAN         the file that plan.sh made; "" to go on
#   OUT          where deploy.txt is written
#
# A rollout that has stopped or is paused stays as it is: `offhook rollout` is a person's to say. So is one that was
# interrupted, or whose runner was killed: that fails, so that somebody hears of it.
set -euo pipefail
: "${ENVIRONMENT:?}" "${OUT:?}"
source "$(dirname "$0")/guarded.sh"
mkdir -p "$OUT"
cd "${FLEET:-.}"

# What to do with the rollout that stands: "go on" for one that was left for a window, "" where there is nothing to do.
waiting() {
  local status
  # it ends with 1 where nobody works on a rollout, and says so
  status=$(offhook rollout status "$ENVIRONMENT" --format json 2> "$OUT/status.txt") || true
  if [[ -s $OUT/status.txt ]]; then guarded cat "$OUT/status.txt" >&2; fi
  if [[ $status == *'"waits": "window"'* ]]; then
    echo "go on"
  elif [[ $status =~ '"condition": "'(running|reverting)'"' && $status != *'"worked_on": true'* ]]; then
    echo "the rollout to $ENVIRONMENT was interrupted, and is not done: offhook rollout status $ENVIRONMENT says more" >&2
    return 1
  else
    [[ -n $status ]] || grep -q "no rollout to\|works on a rollout" "$OUT/status.txt"
  fi
}

carry_out() {
  local code=0
  offhook "${command[@]}" > "$OUT/deploy.txt" || code=$?
  cat "$OUT/deploy.txt"
  return "$code"
}

command=(deploy "$ENVIRONMENT" --apply "${PLAN:-}" --leave)
if [[ -z ${PLAN:-} ]]; then
  next=$(waiting)
  if [[ -z $next ]]; then
    echo "no rollout to $ENVIRONMENT waits for a window"
    exit
  fi
  command=(rollout resume "$ENVIRONMENT" --leave --unless-paused)
fi
result=0
guarded carry_out || result=$?
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then sed 's/^/    /' "$OUT/deploy.txt" >> "$GITHUB_STEP_SUMMARY"; fi
exit "$result"
