# apply.sh: carries out a plan on a host, then prints what the host has now. Comes after observe.sh, whose functions it uses.
#
# Everything new is made in root/.standalone-python.staging, on the file system where it will stay: unpacked, checked, finished,
# started and on disk. Only then comes the commit: one rename for each build, then links, then removals. A failure before the
# commit leaves the host as it was; a kill at any point leaves something that the next run recognises and clears (clear_leftovers).
#
# Set before it: what observe.sh needs, and lock_timeout (seconds), owner, group, mode (of a root made here: it stays the runner's
# own, and only the group is given to it), inside (what the root is called on the host itself, where that isn't where it is now).
# The renderer adds the functions finisher (writes finish.py, and what it needs, into a folder), prepare and commit (this plan's steps).
# shellcheck shell=sh disable=SC2154,SC2034 # the renderer sets and uses these
# shellcheck disable=SC3067 # see observe.sh

staging=
locked=
made_below=
made_root=
committing=
restored=

fail() { # CODE [DETAIL]: leaves the host as it was and says what went wrong, last: there may be nobody left to hear it
  case $1,${2-} in space,* | inodes,* | noinodes,*) ;; *'No space left'*) fail_if_full "$2" ;; esac
  leave
  echo '== standalone-python failure 1 =='
  put "step=$step"
  echo "failure=$1"
  echo "committing=${committing:-no}"
  [ -z "${2-}" ] || say detail "$2"
  echo '== standalone-python failure end =='
  exit 1
}

leave() { # once begun it is not interrupted
  trap - EXIT
  trap '' HUP INT TERM
  # What still runs in the background may write into what is removed here.
  wait
  [ -z "$locked" ] || {
    # What can't go back to its place stays where the next run finds it.
    [ -z "$staging" ] || { restore "$staging" && discard "$staging"; }
    rm -f "$lock"
  }
  locked=
  made=${made_root:-$root}
  while [ -n "$made_below" ] && [ "${made:-/}" != "$made_below" ]; do
    [ ! -d "$made" ] || rmdir "$made" 2>/dev/null || break
    made=${made%/*}
  done
}

discard() { # FOLDER: also where a killed run's tar is still busy in it, or a folder in it can't be written
  rm -rf "$1" 2>/dev/null && return
  sleep 1
  chmod -R u+rwx "$1" 2>/dev/null
  rm -rf "$1" || set_aside "$1"
}

# What a program of this host still has open, its NFS client keeps under a name of its own (.nfs...) until it is closed; the
# build that it was is gone all the same. Later runs go on, and remove what they can.
set_aside() { # FOLDER
  [ -z "$(find "$1" ! -type d ! -name '.nfs*' 2>&1)" ] || return
  aside=$root/.standalone-python.staging.$$
  while there "$aside"; do aside=${aside}_; done
  mv "$1" "$aside"
}

# A disk may be so full that the message about it found no room in its file. Systems say of one without inodes that it has no space.
fail_if_full() { # [DETAIL]
  near=$(existing "$root")
  free=$(free_inodes "$near")
  [ "$free" != 0 ] || fail noinodes "$near"
  free=$(free_kb "$near")
  [ -z "$free" ] || [ ${#free} -gt 2 ] || fail space "$free kB are free below $root${1:+; $1}"
}

# Who can change a folder on the way can lead what is written, removed or started to any other place.
secure() { # FOLDER
  [ -z "$python" ] || return 0
  climb "$1"
  judge_all "$climbed"
  weigh_way "$climbed"
  [ -z "$open" ] || fail untrusted "$open"
}

own() { # PATH: of a run that had this root before
  judged=$nl sound=$nl
  open=
  [ -n "$python" ] || weigh "$1" on
  [ -z "$open" ] || fail untrusted "$open"
}

try() { # CODE COMMAND...: runs it; what it prints to standard error is the detail of a failure
  try_code=$1
  shift
  said=$("$@" 2>&1 >/dev/null) || fail "$try_code" "$said"
}

# A symbolic link is made with its content in one step, by one process only, on every file system, NFS included; flock is not.
lock() {
  me=$(process $$)
  me=$$:${me#* }:$(boot):$(uname -n)
  id=$(machine_id)
  me=$me${id:+":$id"}
  lock=$root/.standalone-python.lock
  waited=0
  refused=0
  while :; do
    holder=$(lock_holder "$lock")
    if [ -n "$holder" ]; then
      await "$lock" "$holder"
      refused=0
      continue
    fi
    # Into a folder of that name ln would go.
    there "$lock" || { said=$(ln -s "$me" "$lock" 2>&1) && break; }
    # It has just come, or gone; gone with the root, if the run that made the root failed; or no link can be made here at all.
    refused=$((refused + 1))
    [ "$refused" -lt 4 ] || ! there "$lock" || fail obstacle "$lock"
    [ "$refused" -lt 4 ] || fail unwritable "$said"
    make_root
  done
  locked=yes
  # A run of an older version has it under another name.
  while holder=$(lock_holder "$root/.lock") && [ -n "$holder" ]; do
    await "$root/.lock" "$holder"
  done
}

await() { # LOCK HOLDER: for a second, or breaks the lock of a holder that is no more
  if [ "$(lock_state "$2")" = dead ]; then
    break_lock "$1" "$2"
  else
    [ "$waited" -lt "$lock_timeout" ] || fail locked "$1 (pid:started:boot:host is $2)"
    rest_a_second
  fi
}

rest_a_second() {
  sleep 1
  waited=$((waited + 1))
}

# Only who made the claim may break the lock that the claim names, and only while it is still that one: a run that saw the same
# dead holder a moment later can't remove the lock of the run that has come since. Where the claimer died too, its claim stays
# for who gets the lock (clear_leftovers), and the next claim has another name, which again only one can make.
break_lock() { # LOCK HOLDER
  claim=$1-broken-$(printf '%s' "$2" | tr -c 'A-Za-z0-9' _)
  patience=10
  until said=$(mkdir "$claim" 2>&1); do
    [ "$(lock_holder "$1")" = "$2" ] || return 0
    [ -d "$claim" ] || [ $patience -gt 7 ] || fail unwritable "$said"
    rest_a_second
    patience=$((patience - 1))
    [ $patience -gt 0 ] || {
      claim=${claim}_
      patience=10
    }
  done
  [ "$(lock_holder "$1")" != "$2" ] || { rm -f "$1" && cleared=yes; }
  rmdir "$claim" 2>/dev/null
}

restore() { # STAGING: a build whose exchange was not completed goes back to its place
  # An image may have links anywhere, which must lead nobody out of it.
  [ ! -h "$1" ] || return 0
  for old in "$1"/*/old; do
    { there "$old" && [ ! -h "${old%/old}" ]; } || continue
    back=${old%/old}
    back=$root/${back##*/}
    there "$back" || mv "$old" "$back" || return
  done
}

find_obstacles() { # under the names of what a run makes, if it isn't what a run makes
  p=$root/.standalone-python.staging
  if [ -h "$p" ] || { [ -e "$p" ] && [ ! -d "$p" ]; }; then fail obstacle "$p"; fi
  for p in "$bin_dir/.standalone-python-link" "$root/.standalone-python-link"; do
    [ -h "$p" ] || [ ! -e "$p" ] || fail obstacle "$p"
  done
}

clear_leftovers() { # as a rule there are none, and no program is started to find that
  fresh=$root/.standalone-python.staging
  for old in "$fresh"/*/old "$root"/.staging/*/old; do
    back=${old%/old}
    back=$root/${back##*/}
    there "$back" || restored=$restored$back$nl
  done
  if there "$fresh"; then
    own "$fresh"
    try io restore "$fresh"
    try io discard "$fresh"
    cleared=yes
  fi
  if is_staging "$root/.staging"; then
    own "$root/.staging"
    try io restore "$root/.staging"
    try io discard "$root/.staging"
    cleared=yes
  fi
  for claim in "$root"/.standalone-python.lock-broken-*; do
    if [ -h "$claim" ]; then try io rm -f "$claim" && cleared=yes
    elif [ -d "$claim" ]; then rmdir "$claim" 2>/dev/null && cleared=yes
    fi
  done
  for claim in "$root"/.lock-broken-[0123456789]*; do
    if is_claim "$claim"; then rmdir "$claim" 2>/dev/null && cleared=yes; fi
  done
  for aside in "$root"/.standalone-python.staging.*; do
    if there "$aside"; then own "$aside" && rm -rf "$aside" 2>/dev/null && cleared=yes; fi
  done
  for aside in "$root"/.staging.[0123456789]*; do
    if is_staging "$aside"; then own "$aside" && rm -rf "$aside" 2>/dev/null && cleared=yes; fi
  done
  for p in "$bin_dir/.standalone-python-link" "$root/.standalone-python-link"; do
    if [ -h "$p" ]; then try io rm -f "$p" && cleared=yes; fi
  done
}

is_as_seen() { # PATH|NAME KIND TEXT: is that what the plan was made for? Or else $differs has the path.
  case $1 in /*) differs=$1 ;; *) differs=$root/$1 ;; esac
  case $2 in
    # A build that this run has just put back to its place was not there when the plan was made.
    absent) ! there "$differs" || case $nl$restored in *"$nl$differs$nl"*) ;; *) false ;; esac ;;
    link) [ -h "$differs" ] && { [ "$3" = '*' ] || [ "$(leads_to "$differs" 2>/dev/null)" = "$3" ]; } ;;
    build) [ ! -h "$differs" ] && [ -d "$differs/.standalone-python" ] && { [ "$3" = '*' ] || [ "$(mark "$differs")" = "$3" ]; } ;;
    file) [ -e "$differs" ] && [ ! -h "$differs" ] && [ ! -d "$differs" ] ;;
    folder) [ -d "$differs" ] && [ ! -h "$differs" ] && [ ! -d "$differs/.standalone-python" ] ;;
  esac
}

mark() { # BUILD-FOLDER -> the lines of its receipt that tell this installation from another one, as observed.py takes them
  [ -f "$1/.standalone-python/receipt.json" ] && [ -r "$1/.standalone-python/receipt.json" ] || return 0
  marking=
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      ' "installed_at": '* | ' "files_sha256": '* | ' "started": '*) marking=$marking$line ;;
    esac
  done <"$1/.standalone-python/receipt.json"
  put "$marking"
}

# Between this and the step that follows somebody can still change the path: no shell has one call that does both.
still() { # PATH|NAME KIND TEXT
  is_as_seen "$@" || fail changed "$differs"
  committing=yes
}

can_make_links() { # FOLDER: it exists, or it can be made
  step="checking $1"
  [ ! -d "$1" ] || return 0
  to_make "$1"
  [ -d "$near" ] || fail unwritable "$first is neither a folder nor a link to one that can be made"
}

# With SOURCE_DATE_EPOCH two runs shall give the same to the bit: what this one has changed gets that time.
dated() { case ${SOURCE_DATE_EPOCH-} in '' | *[!0-9]*) return 1 ;; esac; }

stamp() { # PATH [TOP]: it, and the folders above it up to TOP; a folder that is another user's keeps its time
  dated || return 0
  set -- "$1" "${2:-$1}"
  while :; do
    touch -h -d "@$SOURCE_DATE_EPOCH" "$1" 2>/dev/null ||
      TZ=UTC touch -h -t "$(TZ=UTC date -r "$SOURCE_DATE_EPOCH" +%Y%m%d%H%M.%S 2>/dev/null)" "$1" 2>/dev/null ||
      stamp_with_python "$1" || [ -d "$1" ] || fail io "the time of $1 can't be set to $SOURCE_DATE_EPOCH"
    case $1 in "$2" | /) return ;; esac
    above=${1%/*}
    set -- "${above:-/}" "$2"
  done
}

trusted() { # BUILD-FOLDER: one of ours, which nobody else can have changed
  open=
  judged=$nl sound=$nl
  root_open=
  root_only=
  [ -f "$1/.standalone-python/receipt.json" ] && [ ! -h "$1" ] && weigh_build "$1" && [ -z "$open" ]
}

helped() { # CODE ARGUMENT...: by the first interpreter that this run may start, and that can
  for p in "$root"/cpython-*; do
    [ -n "$python" ] || trusted "$p" || continue
    (for_builds; "${python:-$p/bin/python3}" -I -B -S -c "$@") 2>/dev/null && return
  done
  return 1
}

stamp_with_python() { # PATH
  helped 'import os, sys; os.utime(sys.argv[1], (int(sys.argv[2]),) * 2, follow_symlinks=False)' "$1" "$SOURCE_DATE_EPOCH"
}

rename_over() { # NEW PATH: also where PATH is a link to a folder, into which a plain mv would go
  mv -fT "$1" "$2" 2>/dev/null && return
  mv -fh "$1" "$2" 2>/dev/null && return
  helped 'import os, sys; os.replace(sys.argv[1], sys.argv[2])' "$1" "$2" && return
  rm -f "$2" && mv -f "$1" "$2"
}

link() { # PATH TARGET
  step="linking $1"
  folder=${1%/*}
  near=
  way=$folder
  [ -d "$folder" ] || {
    to_make "$folder"
    try io mkdir -p "$way"
  }
  # If nothing was there, then what comes this moment is not replaced either.
  if there "$1"; then
    try io ln -s "$2" "$folder/.standalone-python-link"
    try io rename_over "$folder/.standalone-python-link" "$1"
  else try io ln -s "$2" "$1"
  fi
  stamp "$1"
  stamp "$way" "$near"
}

unlink() { # PATH
  step="removing $1"
  try io rm -f "$1"
  stamp "${1%/*}"
}

# Two renames would leave a moment in which the stable link leads to nothing. No shell has one that does both; the fresh
# interpreter has, by ctypes: Linux' renameat2 with RENAME_EXCHANGE, macOS' renamex_np with RENAME_SWAP, which are both 2.
exchange() { # FRESH-BUILD PATH: they change places in one step, or nothing happens
  (for_builds; "${python:-$1/bin/python3}" -I -B -S -c '
import ctypes, os, sys
library, (one, other) = ctypes.CDLL(None), map(os.fsencode, sys.argv[1:])
if sys.platform == "darwin":
    failed = library.renamex_np(one, other, 2)
else:
    failed = library.renameat2(-100, one, -100, other, 2)  # -100: AT_FDCWD
sys.exit(failed != 0)
' "$1" "$2") >/dev/null 2>&1
}

commit_build() { # NAME: the build gets its name; one that has it is exchanged
  step="renaming $1"
  exchanged=
  if there "$root/$1"; then
    if exchange "$staging/$1/python" "$root/$1"; then exchanged=yes
    else try io mv "$root/$1" "$staging/$1/old"
    fi
  fi
  [ -n "$exchanged" ] || try io mv "$staging/$1/python" "$root/$1"
  if [ -z "$python" ] && [ -e /sys/fs/selinux/enforce ] && have restorecon; then
    restorecon -R "$root/$1" >/dev/null 2>&1
  fi
}

confirm() { # NAME: its receipt says from now on that it was started
  step="confirming $1"
  try io mv -f "$staging/$1/receipt.json" "$root/$1/.standalone-python/receipt.json"
  stamp "$root/$1/.standalone-python"
}

remove() { # NAME: out of its place first, so that no half of it is ever found there
  step="removing $1"
  # The run that had the lock before may have done it.
  [ -e "$root/$1" ] || return 0
  try io mkdir -p "$staging/$1"
  try io mv "$root/$1" "$staging/$1/removed"
}

make_root() {
  [ ! -d "$root" ] || return 0
  to_make "$root"
  made_below=$near
  made_root=$way
  try unwritable mkdir -p ${mode:+-m "$mode"} "$way"
  # Who owns this folder could lead the next run of root to any other place.
  give "$root" ''
}

give() { # PATH OWNER: to that one, if any, and to the group that was declared
  [ -n "$2$group" ] || return 0
  said=$(LC_ALL=C chown -h "$2${group:+:$group}" "$1" 2>&1) && return
  # In the words of GNU, busybox, BSD and toybox.
  case $said in
    *'user/group'*) fail account "there is no user $owner or no group $group on this host" ;;
    *'nvalid group'* | *'nknown group'* | *'llegal group'* | *'no group '*) fail account "there is no group $group on this host" ;;
    *'nvalid user'* | *'nknown user'* | *'llegal user'* | *'no user '*) fail account "there is no user $owner on this host" ;;
    *) fail permission "$said" ;;
  esac
}

apply() {
  umask 022
  case $root$bin_dir in *'~'*) root=$(at_home "$root") bin_dir=$(at_home "$bin_dir") ;; esac
  for p in "$root" "$bin_dir"; do
    case $p in '~'*) fail home "$p" ;; esac
  done
  trap leave EXIT
  trap 'leave; exit 129' HUP
  trap 'leave; exit 130' INT
  trap 'leave; exit 143' TERM
  step="making $root"
  [ -d "$root" ] || secure "$root"
  make_root
  secure "$root"
  step="locking $root"
  lock
  step="clearing what an earlier run left"
  find_obstacles
  clear_leftovers
  # Another run may have done it while this one waited for the lock. What is left to do is decided anew.
  premises || {
    outdated=yes
    leave
    trap - HUP INT TERM
    observe 2>/dev/null
    return
  }
  staging=$root/.standalone-python.staging
  umask 077
  try io mkdir "$staging"
  { [ -O "$staging" ] && [ ! -h "$staging" ]; } || fail io "$staging is not this run's own"
  umask 022
  prepare
  step="checking that nothing has changed"
  premises || fail changed "$differs"
  commit
  below=$made_below
  made_below=
  step="clearing the staging folder"
  leave
  stamp "${made_root:-$root}" "$below"
  trap - HUP INT TERM
  tried=yes
  observe 2>/dev/null
}
