# remember.sh: records what a full check of builds found, for quick looks that come later. It is a script of its own.
#
# A record is a file with one line, root/.standalone-python.checked/NAME. The root belongs to the runner; a build may belong to
# another user. The controller writes the line, and judges it when it is read again (state/check.py). A rename makes it whole.
#
# Set before it: root. The renderer adds the function records (calls of record).
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the renderer sets and uses these

set +efuC

record() { # NAME LINE
  [ ! -d "$checks/$1" ] || { echo "$checks/$1 is a folder" >&2; return 1; }
  # Any name in an image may be a link: neither this redirection nor mv follows one.
  rm -f "$checks/.new" && (set -C && printf '%s\n' "$2" >"$checks/.new") && mv -f "$checks/.new" "$checks/$1"
}

write_records() {
  umask 022
  checks=$root/.standalone-python.checked
  if [ -h "$checks" ] || { [ -e "$checks" ] && [ ! -d "$checks" ]; }; then
    echo "$checks is not a folder" >&2
    return 1
  fi
  [ -z "${SOURCE_DATE_EPOCH-}" ] || {
    rm -rf "$checks"
    echo "with SOURCE_DATE_EPOCH a host gets no time of a check" >&2
    return 1
  }
  mkdir -p "$checks" || return
  records
}

remember() {
  if output=$(write_records 2>&1); then echo '== standalone-python remembered =='
  else printf '%s\n' "$output"
  fi
}
