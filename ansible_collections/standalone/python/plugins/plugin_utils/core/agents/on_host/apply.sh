# apply.sh: carries out a plan on a host, then observes the host again. It follows observe.sh, whose functions it uses.
#
# It prepares all builds in root/.standalone-python.staging, on their final file system: unpacked, verified, finished, started and
# on disk. Then it commits: one rename for each build, then links, then removals. A failure before the commit changes nothing.
# After a kill at any point, the next run clears what is left (clear_leftovers).
#
# Set before it: what observe.sh needs, and lock_timeout (seconds), owner, group, mode (of a root that is created here: it belongs
# to the runner, and only its group is set), inside (the root's path on the host itself, where it differs). The renderer adds the
# functions finisher (writes finish.py and its parts into a folder), premises, prepare and commit.
# shellcheck shell=sh disable=SC2154,SC2034 # the renderer sets and uses these
# shellcheck disable=SC3067 # see observe.sh

staging=
locked=
made_below=
made_root=
committing=
restored=

# Prints while the run is at work (state/answer.py). If nobody reads any more, only the subshell is killed.
announce() { (put "$1") 2>/dev/null; } # LINE

begin() { # WHAT takes long, in one line
  step=$1
  announce "doing=$step"
}

fail() { # CODE [DETAIL]: cleans up first, as the connection may be gone, then prints the failure
  case $1,${2-} in space,* | inodes,* | noinodes,*) ;; *'No space left'*) fail_if_full "$2" ;; esac
  clean_up
  tell_failure "$@"
  exit 1
}

tell_failure() { # CODE [DETAIL]
  echo '== standalone-python failure 1 =='
  put "step=$step"
  echo "failure=$1"
  echo "committing=${committing:-no}"
  [ -z "${2-}" ] || say detail "$2"
  echo '== standalone-python failure end =='
}

clean_up() { # signals no longer interrupt it
  trap - EXIT
  trap '' HUP INT TERM
  # Background jobs may still write into the staging folder.
  wait
  [ -z "$locked" ] || {
    # If a build can't be moved back, the staging folder stays for the next run.
    [ -z "$staging" ] || { restore "$staging" && remove_folder "$staging"; }
    rm -f "$lock"
  }
  locked=
  made=${made_root:-$root}
  while [ -n "$made_below" ] && [ "${made:-/}" != "$made_below" ]; do
    [ ! -d "$made" ] || rmdir "$made" 2>/dev/null || break
    made=${made%/*}
  done
}

remove_folder() { # FOLDER: retries, as the tar of a killed run may still write to it, and a folder in it may be read-only
  rm -rf "$1" 2>/dev/null && return
  sleep 1
  chmod -R u+rwx "$1" 2>/dev/null
  rm -rf "$1" || set_aside "$1"
}

# An NFS client keeps an open file as .nfs... until the program closes it. The build is gone all the same. Later runs go on, and
# remove what they can.
set_aside() { # FOLDER
  [ -z "$(find "$1" ! -type d ! -name '.nfs*' 2>&1)" ] || return
  aside=$root/.standalone-python.staging.$$
  while exists "$aside"; do aside=${aside}_; done
  mv "$1" "$aside"
}

# On a full disk even the error message may be lost. Systems report missing inodes as missing space.
fail_if_full() { # [DETAIL]
  near=$(existing "$root")
  free=$(free_inodes "$near")
  [ "$free" != 0 ] || fail noinodes "$near"
  free=$(free_kb "$near")
  [ -z "$free" ] || [ ${#free} -gt 2 ] || fail space "$free kB are free below $root${1:+; $1}"
}

# A user who can change a folder of the path can redirect what is written, removed or started.
require_trusted() { # FOLDER
  [ -z "$python" ] || return 0
  parents "$1"
  classify_all "$parents"
  check_parents "$parents"
  [ -z "$open" ] || fail untrusted "$open"
}

require_own() { # PATH: left by an earlier run
  forget
  open=
  [ -n "$python" ] || check "$1" on
  [ -z "$open" ] || fail untrusted "$open"
}

try() { # CODE COMMAND...: fails with CODE and the standard error of COMMAND
  try_code=$1
  shift
  output=$("$@" 2>&1 >/dev/null) || fail "$try_code" "$output"
}

# Creating a symbolic link is atomic on every file system, NFS included. flock is not.
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
      wait_for_lock "$lock" "$holder"
      refused=0
      continue
    fi
    # ln would put the link into a folder of that name.
    exists "$lock" || { output=$(ln -s "$me" "$lock" 2>&1) && break; }
    # Another run has just taken or released the lock, or removed its root after a failure; or links can't be created here.
    refused=$((refused + 1))
    [ "$refused" -lt 4 ] || ! exists "$lock" || fail obstacle "$lock"
    [ "$refused" -lt 4 ] || fail unwritable "$output"
    make_root
  done
  locked=yes
  # Older versions use another name.
  while holder=$(lock_holder "$root/.lock") && [ -n "$holder" ]; do
    wait_for_lock "$root/.lock" "$holder"
  done
}

wait_for_lock() { # LOCK HOLDER: waits a second, or breaks the lock if its holder is dead
  if [ "$(lock_state "$2")" = dead ]; then
    break_lock "$1" "$2"
  else
    [ "$waited" -lt "$lock_timeout" ] || fail locked "$1 (pid:started:boot:host is $2)"
    wait_a_second
  fi
}

wait_a_second() {
  sleep 1
  waited=$((waited + 1))
}

# Only the run that created the claim may break the lock that it names, and only while the lock is unchanged. So a slower run that
# saw the same dead holder can't remove the lock of a newer run. If the claimer dies too, its claim stays until a run has the lock
# (clear_leftovers), and the next claim has another name.
break_lock() { # LOCK HOLDER
  claim=$1-broken-$(printf '%s' "$2" | tr -c 'A-Za-z0-9' _)
  patience=10
  until output=$(mkdir "$claim" 2>&1); do
    [ "$(lock_holder "$1")" = "$2" ] || return 0
    [ -d "$claim" ] || [ $patience -gt 7 ] || fail unwritable "$output"
    wait_a_second
    patience=$((patience - 1))
    [ $patience -gt 0 ] || {
      claim=${claim}_
      patience=10
    }
  done
  [ "$(lock_holder "$1")" != "$2" ] || { rm -f "$1" && cleared=yes; }
  rmdir "$claim" 2>/dev/null
}

restore() { # STAGING: moves builds back whose exchange was not completed
  # In an image any name may be a link, and following it could lead out of the image.
  [ ! -h "$1" ] || return 0
  for old in "$1"/*/old; do
    { exists "$old" && [ ! -h "${old%/old}" ]; } || continue
    back=${old%/old}
    back=$root/${back##*/}
    exists "$back" || mv "$old" "$back" || return
  done
}

find_obstacles() { # what has a name that a run uses, and is of another kind
  p=$root/.standalone-python.staging
  if [ -h "$p" ] || { [ -e "$p" ] && [ ! -d "$p" ]; }; then fail obstacle "$p"; fi
  for p in "$bin_dir/.standalone-python-link" "$root/.standalone-python-link"; do
    [ -h "$p" ] || [ ! -e "$p" ] || fail obstacle "$p"
  done
}

clear_leftovers() { # starts no program if there are none
  fresh=$root/.standalone-python.staging
  for old in "$fresh"/*/old "$root"/.staging/*/old; do
    back=${old%/old}
    back=$root/${back##*/}
    exists "$back" || restored=$restored$back$nl
  done
  if exists "$fresh"; then
    require_own "$fresh"
    try io restore "$fresh"
    try io remove_folder "$fresh"
    cleared=yes
  fi
  if is_staging "$root/.staging"; then
    require_own "$root/.staging"
    try io restore "$root/.staging"
    try io remove_folder "$root/.staging"
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
    if exists "$aside"; then require_own "$aside" && rm -rf "$aside" 2>/dev/null && cleared=yes; fi
  done
  for aside in "$root"/.staging.[0123456789]*; do
    if is_staging "$aside"; then require_own "$aside" && rm -rf "$aside" 2>/dev/null && cleared=yes; fi
  done
  for p in "$bin_dir/.standalone-python-link" "$root/.standalone-python-link"; do
    if [ -h "$p" ]; then try io rm -f "$p" && cleared=yes; fi
  done
}

is_unchanged() { # PATH|NAME KIND TEXT: is this still what the plan saw? If not, $differs is the path.
  case $1 in /*) differs=$1 ;; *) differs=$root/$1 ;; esac
  case $2 in
    # A build that this run has just moved back did not exist when the plan was made.
    absent) ! exists "$differs" || case $nl$restored in *"$nl$differs$nl"*) ;; *) false ;; esac ;;
    link) [ -h "$differs" ] && { [ "$3" = '*' ] || [ "$(link_target "$differs" 2>/dev/null)" = "$3" ]; } ;;
    build) [ ! -h "$differs" ] && [ -d "$differs/.standalone-python" ] && { [ "$3" = '*' ] || [ "$(receipt_mark "$differs")" = "$3" ]; } ;;
    file) [ -e "$differs" ] && [ ! -h "$differs" ] && [ ! -d "$differs" ] ;;
    folder) [ -d "$differs" ] && [ ! -h "$differs" ] && [ ! -d "$differs/.standalone-python" ] ;;
    text) [ -f "$differs" ] && [ ! -h "$differs" ] && [ -r "$differs" ] && words "$differs" && [ "$words" = "$3" ] ;;
  esac
}

words() { # FILE -> words: its lines, with a space between them
  words=
  while IFS= read -r line || [ -n "$line" ]; do words=$words${words:+ }$line; done <"$1"
}

receipt_mark() { # BUILD-FOLDER -> the lines of its receipt that identify this installation, as the controller computes them
  [ -f "$1/.standalone-python/receipt.json" ] && [ -r "$1/.standalone-python/receipt.json" ] || return 0
  marking=
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      ' "installed_at": '* | ' "files_sha256": '* | ' "started": '*) marking=$marking$line ;;
    esac
  done <"$1/.standalone-python/receipt.json"
  put "$marking"
}

# A moment is left between this check and the next step, as no shell has one call for both.
require_unchanged() { # PATH|NAME KIND TEXT
  is_unchanged "$@" || fail changed "$differs"
  committing=yes
}

can_make_links() { # FOLDER: it exists, or it can be made
  step="checking $1"
  [ ! -d "$1" ] || return 0
  to_make "$1"
  [ -d "$near" ] || fail unwritable "$first is neither a folder nor a link to one that can be made"
}

# With SOURCE_DATE_EPOCH, two runs give the same bytes and times: what this run has changed gets that time.
has_source_date() { case ${SOURCE_DATE_EPOCH-} in '' | *[!0-9]*) return 1 ;; esac; }

stamp() { # PATH [TOP]: sets the time of PATH and the folders above it up to TOP; folders of other users keep theirs
  has_source_date || return 0
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

trusted() { # BUILD-FOLDER: is it a build that nobody else can have changed?
  open=
  forget
  root_open=
  root_only=
  [ -f "$1/.standalone-python/receipt.json" ] && [ ! -h "$1" ] && check_build "$1" && [ -z "$open" ]
}

run_python() { # CODE ARGUMENT...: by the first trusted interpreter that succeeds
  for p in "$root"/cpython-*; do
    [ -n "$python" ] || trusted "$p" || continue
    (for_builds; "${python:-$p/bin/python3}" -I -B -S -c "$@") 2>/dev/null && return
  done
  return 1
}

stamp_with_python() { # PATH
  run_python 'import os, sys; os.utime(sys.argv[1], (int(sys.argv[2]),) * 2, follow_symlinks=False)' "$1" "$SOURCE_DATE_EPOCH"
}

rename_over() { # NEW PATH: plain mv would move NEW into PATH, if that is a link to a folder
  mv -fT "$1" "$2" 2>/dev/null && return
  mv -fh "$1" "$2" 2>/dev/null && return
  run_python 'import os, sys; os.replace(sys.argv[1], sys.argv[2])' "$1" "$2" && return
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
  # Without a link to replace, ln fails if something is created at this moment.
  if exists "$1"; then
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

can_record() {
  step="checking $root/.standalone-python.history"
  [ -h "$root/.standalone-python.history" ] || [ ! -d "$root/.standalone-python.history" ] ||
    fail obstacle "$root/.standalone-python.history"
}

record() { # BUILD...: writes which builds were in use, oldest first; without any it removes the file
  step="writing $root/.standalone-python.history"
  committing=yes
  if [ $# -gt 0 ]; then
    try io write_lines "$staging/history" "$@"
    try io rename_over "$staging/history" "$root/.standalone-python.history"
    stamp "$root/.standalone-python.history"
  elif exists "$root/.standalone-python.history"; then try io rm -f "$root/.standalone-python.history"
  fi
}

write_lines() { # FILE LINE...
  file=$1
  shift
  for line; do put "$line"; done >"$file"
}

# Between two renames the stable link would lead to nothing. The new interpreter can exchange in one call, by ctypes: Linux'
# renameat2 with RENAME_EXCHANGE, macOS' renamex_np with RENAME_SWAP. Both flags are 2.
exchange() { # NEW-BUILD PATH: swaps them in one step, or fails
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

forget_check() { # NAME: a full check of it (remember.sh) was of the files before
  # In an image any name may be a link, and following it could lead out of the image.
  checks=$root/.standalone-python.checked
  { [ ! -h "$checks" ] && exists "$checks/$1"; } || return 0
  rm -f "$checks/$1"
  rmdir "$checks" 2>/dev/null || stamp "$checks"
}

commit_build() { # NAME: moves the build to its place; exchanges it with one of the same name
  step="renaming $1"
  exchanged=
  if exists "$root/$1"; then
    if exchange "$staging/$1/python" "$root/$1"; then exchanged=yes
    else try io mv "$root/$1" "$staging/$1/old"
    fi
  fi
  [ -n "$exchanged" ] || try io mv "$staging/$1/python" "$root/$1"
  forget_check "$1"
  if [ -z "$python" ] && [ -e /sys/fs/selinux/enforce ] && have restorecon; then
    restorecon -R "$root/$1" >/dev/null 2>&1
  fi
}

confirm() { # NAME: puts the receipt in place that says "started"
  step="confirming $1"
  try io mv -f "$staging/$1/receipt.json" "$root/$1/.standalone-python/receipt.json"
  stamp "$root/$1/.standalone-python"
}

remove() { # NAME: moves the build away first, so that its place never holds a part of it
  step="removing $1"
  # The run that had the lock before may have removed it.
  [ -e "$root/$1" ] || return 0
  try io mkdir -p "$staging/$1"
  try io mv "$root/$1" "$staging/$1/removed"
  forget_check "$1"
}

make_root() {
  [ ! -d "$root" ] || return 0
  to_make "$root"
  made_below=$near
  made_root=$way
  try unwritable mkdir -p ${mode:+-m "$mode"} "$way"
  # The owner of this folder could redirect the next run of root, so it stays the runner's.
  set_owner "$root" ''
}

set_owner() { # PATH OWNER: sets the owner, if not empty, and the declared group
  [ -n "$2$group" ] || return 0
  output=$(LC_ALL=C chown -h "$2${group:+:$group}" "$1" 2>&1) && return
  # The messages of GNU, busybox, BSD and toybox.
  case $output in
    *'user/group'*) fail account "the user $owner or the group $group does not exist on this host" ;;
    *'nvalid group'* | *'nknown group'* | *'llegal group'* | *'no group '*) fail account "the group $group does not exist on this host" ;;
    *'nvalid user'* | *'nknown user'* | *'llegal user'* | *'no user '*) fail account "the user $owner does not exist on this host" ;;
    *) fail permission "$output" ;;
  esac
}

apply() {
  umask 022
  case $root$bin_dir in *'~'*) root=$(expand_home "$root") bin_dir=$(expand_home "$bin_dir") ;; esac
  for p in "$root" "$bin_dir"; do
    case $p in '~'*) fail home "$p" ;; esac
  done
  trap clean_up EXIT
  trap 'clean_up; exit 129' HUP
  trap 'clean_up; exit 130' INT
  trap 'clean_up; exit 143' TERM
  step="making $root"
  [ -d "$root" ] || require_trusted "$root"
  make_root
  require_trusted "$root"
  begin "locking $root"
  lock
  begin "clearing what an earlier run left"
  find_obstacles
  clear_leftovers
  # Another run may have changed the host while this one waited for the lock: then the controller plans again.
  premises || {
    outdated=yes
    clean_up
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
  begin "clearing the staging folder"
  clean_up
  stamp "${made_root:-$root}" "$below"
  trap - HUP INT TERM
  tried=yes
  observe 2>/dev/null
}
