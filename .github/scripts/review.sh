#!/usr/bin/env bash
# What a pull request does to phones: every problem as an annotation; the comment, the page and the whole diff as files.
#
#   BASE, HEAD  what is compared: revisions; what HEAD changes since it left BASE
#   FLEET       the fleet's folder (default: the repository's top)
#   OUT         where comment.md, page.html, diff.json, head and base are written
#   ONLY        scopes that nothing else may change beside, such as "sites/berlin" (one a word; default: anything may)
#   ARTIFACT    the address of the whole diff, for the comment to point to
#   GITHUB_BASE_REF  the branch that the pull request goes into, as GitHub sets it
#
# There is a comment whatever happens: where no review can be made it says that.
# Ends with 1 where the inventory has mistakes, or where something outside of ONLY changes.
set -euo pipefail
: "${BASE:?}" "${HEAD:?}" "${OUT:?}"
source "$(dirname "$0")/guarded.sh"
mkdir -p "$OUT"
echo "${GITHUB_BASE_REF:-}" > "$OUT/base"
why="its run says why"
if [[ -n ${ARTIFACT:-} ]]; then why="[$why]($ARTIFACT)"; fi
printf '<!-- offhook review -->\n**The review failed**: %s.\n' "$why" > "$OUT/comment.md"
cd "${FLEET:-.}"
scopes=()
for scope in ${ONLY:-}; do scopes+=(--only "$scope"); done
result=0

# what left is judged as the diff is: against where HEAD left BASE, which may have gone on since
left=$(git merge-base "$BASE" "$HEAD") || left=$BASE
offhook check --rev "$HEAD" --against "$left" --format github || result=$?
((result <= 1)) || exit "$result"

diff() {
  local code=0
  guarded offhook diff "$BASE...$HEAD" "$@" || code=$?
  ((code <= 1)) || exit "$code"
  ((code == 0)) || result=$code
}
diff --format markdown --artifact "${ARTIFACT:-}" --out "$OUT/comment.md" "${scopes[@]}"
diff --format html --out "$OUT/page.html" "${scopes[@]}"
diff --format json --out "$OUT/diff.json" "${scopes[@]}"
git rev-parse "$HEAD^{commit}" > "$OUT/head"
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then cat "$OUT/comment.md" >> "$GITHUB_STEP_SUMMARY"; fi
exit "$result"
