# apply.sh: carries out a plan on a host, then prints what the host has now. Comes after observe.sh, whose functions it uses.
#
# Everything new is made in root/.staging, on the file system where it will stay: unpacked, checked, finished, started and on disk.
# Only then comes the commit: one rename for each build, then links, then removals. A failure before the commit leaves the host as
# it was; a kill at any point leaves something that the next run recognises and clears (clear_leftovers).
#
# Set before it: what observe.sh wants, and lock_timeout (seconds), force (yes|no), owner, group, mode (of a root made here).
# The renderer adds the functions finisher (prints finish.py), prepare and commit (this plan's steps).
# shellcheck shell=sh disable=SC2154,SC2034 # the renderer sets and uses these

staging=
locked=
made_root=
committing=

fail() { # CODE [DETAIL]: says what went wrong and leaves the host as it was
  trap - EXIT HUP INT TERM
  echo '== standalone-python failure 1 =='
  echo "step=$step"
  echo "failure=$1"
  echo "committing=${committing:-no}"
  [ -z "${2-}" ] || say detail "$2"
  echo '== standalone-python failure end =='
  leave
  exit 1
}

leave() {
  [ -z "$locked" ] || {
    restore
    [ -z "$staging" ] || rm -rf "$staging"
    rm -f "$root/.lock"
    [ -z "$made_root" ] || rmdir "$root" 2>/dev/null
  }
  locked=
}

try() { # CODE COMMAND...: runs it; what it prints to standard error is the detail of a failure
  try_code=$1
  shift
  said=$("$@" 2>&1 >/dev/null) || fail "$try_code" "$said"
}

# A symbolic link is made with its content in one step, by one process only, on every file system, NFS included; flock is not.
lock() {
  me="$$:$(started $$):$(boot):$(uname -n)"
  waited=0
  until ln -s "$me" "$root/.lock" 2>/dev/null; do
    [ -w "$root" ] || fail unwritable "$(ln -s "$me" "$root/.lock" 2>&1)"
    [ -h "$root/.lock" ] || [ ! -e "$root/.lock" ] || fail lock "$root/.lock is not a lock"
    holder=$(lock_holder)
    if [ -z "$holder" ]; then
      # Gone again, unless links can't be made here at all.
      [ "$waited" -lt "$lock_timeout" ] || fail unwritable "$(ln -s "$me" "$root/.lock" 2>&1)"
    elif [ "$(lock_state "$holder")" = dead ]; then
      break_lock "$holder"
      continue
    fi
    [ "$waited" -lt "$lock_timeout" ] || fail locked "$holder"
    sleep 1
    waited=$((waited + 1))
  done
  locked=yes
}

# Only who made the claim may break the lock that the claim names, and only while it is still that one: a run that saw the same
# dead holder a moment later can't remove the lock of the run that has come since.
break_lock() { # HOLDER
  claim="$root/.lock-broken-$(printf '%s' "$1" | tr -c 'A-Za-z0-9' _)"
  if mkdir "$claim" 2>/dev/null; then
    [ "$(lock_holder)" != "$1" ] || rm -f "$root/.lock"
    rmdir "$claim"
  else
    sleep 1
    waited=$((waited + 1))
    [ "$waited" -le "$lock_timeout" ] || rmdir "$claim" 2>/dev/null
  fi
}

restore() { # a build whose exchange was not completed goes back to its place
  for old in "$root"/.staging/*/old; do
    [ -e "$old" ] || continue
    back=${old%/old}
    back=$root/${back##*/}
    [ -e "$back" ] || mv "$old" "$back"
  done
}

clear_leftovers() {
  try io restore
  try io rm -rf "$root/.staging"
  try io rm -f "$bin_dir/.standalone-python-link" "$root/.standalone-python-link"
}

begin() { # NAME: an empty place for a build that is being made
  name=$1
  here=$staging/$name
  step="preparing $name"
  try io mkdir "$here"
  [ -e "$staging/finish.py" ] || finisher >"$staging/finish.py" 2>"$here/err" || fail io "$(cat "$here/err")"
}

space() { # KILOBYTES NEEDED
  free=$(df -Pk "$staging" 2>/dev/null | {
    read -r _
    read -r _ _ _ free _ && printf '%s' "$free"
  })
  case $free in '' | *[!0-9]*) return 0 ;; esac
  [ "$free" -ge "$1" ] || fail space "$1 $free"
}

unpack() { # FILE FORM(zst|gz) [MEMBER]: into the build's place; what went wrong is in its file err
  set -- "$1" "${3-}" "$2"
  case $3 in
    zst) packer=zstd ;;
    *) packer=gzip ;;
  esac
  { "$packer" -dcq "$1" || : >"$here/broken"; } 2>"$here/err" | tar -xof - -C "$here" ${2:+"$2"} 2>>"$here/err" &&
    [ ! -e "$here/broken" ]
}

# The archive is hashed while it is unpacked; nothing of it is run or kept before the sum agrees.
unpack_checked() { # FILE SHA256 FORM [MEMBER]
  step="unpacking $name"
  have tar || fail notar
  [ "$3" != zst ] || have zstd || fail nozstd
  have sha256sum || have shasum || have openssl || fail nochecksum
  sha256 "$1" >"$here/sum" 2>/dev/null &
  hasher=$!
  unpacked=yes
  unpack "$1" "$3" "${4-}" || unpacked=no
  wait "$hasher"
  read -r found _ <"$here/sum" || found=
  [ "${found#\\}" = "$2" ] || fail checksum "$2 ${found:-(unreadable)}"
  [ $unpacked = yes ] || fail unpack "$(cat "$here/err")"
}

pushed() { # FILE SHA256 FORM KILOBYTES: an archive that the controller sent, holding one tree, python/
  space "$4"
  unpack_checked "$1" "$2" "$3"
  rm -f "$1" 2>/dev/null
}

download() { # URL FILE; the token, where there is one, goes by a file or standard input and never by a command line
  if have curl; then
    {
      printf 'url = "%s"\noutput = "%s"\n' "$(quoted "$1")" "$(quoted "$2")"
      [ -z "$token" ] || printf 'header = "Authorization: Bearer %s"\n' "$(quoted "$token")"
    } | curl -fsSL --retry 3 --connect-timeout 20 --speed-limit 1000 --speed-time 60 -K - 2>"$here/err"
  elif have wget; then
    if [ -n "$token" ]; then
      case $(wget --version 2>&1) in *GNU\ Wget*) ;; *) fail tokenwget ;; esac
      (umask 077 && printf 'header = Authorization: Bearer %s\n' "$token" >"$here/wgetrc")
    fi
    WGETRC=$here/wgetrc wget -q -T 60 -O "$2" "$1" 2>"$here/err"
  else
    fail nodownload
  fi
}

quoted() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }

pulled() { # SHA256 FORM MEMBER URL...: the first URL that answers
  sum=$1
  form=$2
  tree=$3
  shift 3
  errors=
  for url; do
    step="downloading $name"
    if download "$url" "$here/archive"; then
      unpack_checked "$here/archive" "$sum" "$form" "$tree"
      rm -f "$here/archive"
      [ "$tree" = python ] || {
        try io mv "$here/$tree" "$here/tree"
        try io rm -rf "$here/python"
        try io mv "$here/tree" "$here/python"
      }
      return
    fi
    errors="$errors${errors:+; }${url##*://*@}: $(cat "$here/err" 2>/dev/null)"
  done
  fail download "$errors"
}

finish() { # key=value...: the interpreter finishes its own installation, and shows that it starts
  step="finishing $name"
  [ -x "$here/python/bin/python3" ] || fail content "there is no python/bin/python3 in it"
  "$here/python/bin/python3" -I -B "$staging/finish.py" "tree=$here/python" "final=$root/$name" "name=$name" "$@" \
    >"$here/out" 2>"$here/err"
  code=$?
  if [ $code -ne 0 ]; then
    reported=
    detail=
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in
        failure=*) reported=${line#failure=} ;;
        detail=*) detail=${line#detail=} ;;
      esac
    done <"$here/out"
    [ -n "$reported" ] || { reported=start && detail=$(cat "$here/err" "$here/out"); }
    fail "$reported" "${detail:-it ended with exit code $code and said nothing}"
  fi
}

may_link() { # PATH: a link of ours, or nothing, must be there
  step="checking $1"
  if [ -h "$1" ]; then
    [ "$force" != yes ] || return 0
    at=$(QUOTING_STYLE=literal LC_ALL=C ls -ld "$1")
    case ${at##* -> } in
      "$root"/* | cpython-*) return ;;
      *) fail foreign "$1 leads to ${at##* -> }" ;;
    esac
  fi
  [ ! -e "$1" ] || { [ "$force" = yes ] && [ ! -d "$1" ]; } || fail foreign "$1"
}

rename_over() { # NEW PATH: also where PATH is a link to a folder, into which a plain mv would go
  mv -fT "$1" "$2" 2>/dev/null && return
  mv -fh "$1" "$2" 2>/dev/null && return
  for python in "$root"/cpython-*/bin/python3; do
    "$python" -I -S -c 'import os, sys; os.replace(sys.argv[1], sys.argv[2])' "$1" "$2" 2>/dev/null && return
  done
  rm -f "$2" && mv -f "$1" "$2"
}

link() { # PATH TARGET
  step="linking $1"
  folder=${1%/*}
  [ -d "$folder" ] || try io mkdir -p "$folder"
  try io rm -f "$folder/.standalone-python-link"
  try io ln -s "$2" "$folder/.standalone-python-link"
  try io rename_over "$folder/.standalone-python-link" "$1"
}

unlink() { # PATH
  step="removing $1"
  try io rm -f "$1"
}

settle() { # NAME: the build gets its name; one that has it is exchanged
  step="renaming $1"
  if [ -e "$root/$1" ] || [ -h "$root/$1" ]; then
    try io mv "$root/$1" "$staging/$1/old"
  fi
  try io mv "$staging/$1/python" "$root/$1"
  if [ -e /sys/fs/selinux/enforce ] && have restorecon; then
    restorecon -R "$root/$1" >/dev/null 2>&1
  fi
}

remove() { # NAME: out of its place first, so that no half of it is ever found there
  step="removing $1"
  try io mkdir -p "$staging/$1"
  try io mv "$root/$1" "$staging/$1/removed"
}

make_root() {
  [ ! -d "$root" ] || return 0
  try unwritable mkdir -p "$root"
  made_root=yes
  [ -z "$mode" ] || try permission chmod "$mode" "$root"
  [ -z "$owner$group" ] || try permission chown "$owner${group:+:$group}" "$root"
}

apply() {
  umask 022
  case $root in '~'*) root=$HOME${root#?} ;; esac
  case $bin_dir in '~'*) bin_dir=$HOME${bin_dir#?} ;; esac
  step="making $root"
  make_root
  step="locking $root"
  lock
  trap leave EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  staging=$root/.staging
  step="clearing what an earlier run left"
  clear_leftovers
  umask 077
  try io mkdir "$staging"
  umask 022
  prepare
  committing=yes
  commit
  made_root=
  step="clearing the staging folder"
  leave
  trap - EXIT HUP INT TERM
  observe
}
