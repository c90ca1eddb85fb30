#!/usr/bin/env bash
# What a deploy would do, kept as a plan that somebody can approve and `deploy.sh` carries out, no other.
#
#   ENVIRONMENT  which one
#   FLEET        the fleet's folder (default: the repository's top)
#   OUT          where plan.json and plan.txt are written
#
# Says "changes=true" or "changes=false" to GITHUB_OUTPUT.
set -euo pipefail
: "${ENVIRONMENT:?}" "${OUT:?}"
source "$(dirname "$0")/guarded.sh"
mkdir -p "$OUT"
plan() {
  local code=0
  offhook -C "${FLEET:-.}" deploy "$ENVIRONMENT" --plan "$OUT/plan.json" --exit-code > "$OUT/plan.txt" || code=$?
  cat "$OUT/plan.txt"
  return "$code"
}
result=0
guarded plan || result=$?
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then sed 's/^/    /' "$OUT/plan.txt" >> "$GITHUB_STEP_SUMMARY"; fi
case $result in
  0) changes=false ;;
  4) changes=true ;;
  *) exit "$result" ;;
esac
if [[ -n ${GITHUB_OUTPUT:-} ]]; then echo "changes=$changes" >> "$GITHUB_OUTPUT"; fi
