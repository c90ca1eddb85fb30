# For the other scripts: a command whose output holds others' words, such as a key's label.
#
# GitHub takes "::error::..." at a line's start, and "##[error]..." anywhere in it, for a command of the run: between
# stop-commands and its token it takes none.
guarded() {
  local token="" result=0
  if [[ -n ${GITHUB_ACTIONS:-} ]]; then
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "::stop-commands::$token"
  fi
  "$@" || result=$?
  if [[ -n $token ]]; then printf '\n::%s::\n' "$token"; fi
  return "$result"
}
