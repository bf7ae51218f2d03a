# observe.sh: prints what a host has as key=value lines between two sentinels. It only reads.
#
# Set before it: root, bin_dir (absolute, or starting with ~/), verify (quick|full), facts (print what kind of host it is: yes or
# no), processes (print those that run from builds: yes, or empty; processes.sh is sent with it), history (print which builds were
# in use before: yes, or empty; history.sh is sent with it), and python (empty; or this machine's interpreter if root is in the
# image of another machine, where nothing may be started). trust.sh is sent with it. A quick look has only these two, as some
# shells read a script from a pipe one letter at a time. unusual.sh and lock.sh are sent where it ends early, disk.sh with
# verify=full or facts, facts.sh with facts. For dash, busybox ash, mksh and bash 3.2, with any ls, df and uname. If all is in
# order, it starts ls once, and each interpreter once for its version.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317 # the renderer and the other parts set, use and replace these
# shellcheck disable=SC3066,SC3067 # test has -O and -G in all of them

# Settings that a caller may have exported for its shell or ls.
set +efuC
unset CLICOLOR CLICOLOR_FORCE LD_DEBUG LD_SHOW_AUXV

nl='
'
tried= # by apply.sh: it tried to remove leftovers
cleared= # by apply.sh: it removed leftovers
outdated= # by apply.sh: the host is not what the plan saw
my_uid=
top=

# A quick look writes all at once, as each write wakes the controller. unusual.sh replaces both.
answer=
put() { answer=$answer$1$nl; } # LINES

flush() {
  # mksh has no builtin printf.
  case ${KSH_VERSION-} in
    *MIRBSD*) print -rn -- "$answer" ;;
    *) printf '%s' "$answer" ;;
  esac
}

# Each line of an answer costs the controller time, so most lines of a receipt are one. It needs those of the mark as they are.
put_receipt() { # prints $line, or adds it to $receipt
  case $line in
    ' "files_sha256": '* | ' "installed_at": '* | ' "started": '*)
      put "receipt=$receipt${nl}receipt=$line"
      receipt= ;;
    *) receipt=$receipt$line ;;
  esac
}

have() { command -v "$1" >/dev/null 2>&1; }

say() { # KEY TEXT: prints a line of KEY for each line of TEXT
  say_rest=$2
  while :; do
    put "$1=${say_rest%%"$nl"*}"
    case $say_rest in
      *"$nl"*) say_rest=${say_rest#*"$nl"} ;;
      *) return 0 ;;
    esac
  done
}

# ~ is this user's home. Without HOME (cron, a bare chroot), the accounts know it.
expand_home() { # PATH -> with ~ replaced, if this user has a home
  case $1 in
    '~'*)
      home=${HOME-}
      [ -n "$home" ] || {
        account=$(id -un 2>/dev/null)
        case $account in '' | *[!A-Za-z0-9_.-]*) ;; *) eval "home=~$account" ;; esac
      }
      case $home in /*) printf '%s' "${home%/}${1#?}" ;; *) printf '%s' "$1" ;; esac ;;
    *) printf '%s' "$1" ;;
  esac
}

exists() { [ -e "$1" ] || [ -h "$1" ]; } # PATH: also a link that leads nowhere

nearest() { # PATH -> near: the nearest existing path above it, or itself; empty for /
  near=$1
  while [ -n "$near" ] && ! exists "$near"; do
    case $near in */*) near=${near%/*} ;; *) near= ;; esac
  done
}

folder_state() { # KEY PATH: can this user create things in it?
  if [ -d "$2" ]; then
    if [ ! -r "$2" ] || [ ! -x "$2" ]; then put "$1_state=unreadable"
    elif [ -w "$2" ]; then put "$1_state=writable"; else put "$1_state=unwritable"; fi
    return
  fi
  nearest "$2"
  if [ ! -d "${near:-/}" ]; then
    unusual
    state_of_missing "$@"
  elif [ -w "${near:-/}" ]; then put "$1_state=absent"; else put "$1_state=unwritable"
  fi
}

entries() { # PATH... (a pattern) -> entries: their number; a pattern without a match stays as it is
  entries=$#
  [ $# -gt 1 ] || [ -e "$1" ] || entries=0
}

# With the caller's libraries and settings a sound build could fail to start. Call it in a subshell.
for_builds() {
  [ -z "$python" ] || return 0
  unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT LD_BIND_NOW GLIBC_TUNABLES OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES
  unset DYLD_LIBRARY_PATH DYLD_FRAMEWORK_PATH DYLD_FALLBACK_LIBRARY_PATH DYLD_FALLBACK_FRAMEWORK_PATH DYLD_INSERT_LIBRARIES
}

start() { # BUILD-FOLDER -> code, says: of its interpreter; -I, as the environment may have settings for other Pythons
  says=$(for_builds; exec "$1/bin/python3" -I -V 2>&1)
  code=$?
}

examine() { # BUILD-FOLDER: prints its receipt, how it starts, and the size of its standard library
  put "build=${1##*/}"
  case ${1##*/} in *-x86_64_v[234]-*) leveled=yes ;; esac
  unconfirmed=
  users_install=
  bundled=
  if [ -f "$1/.standalone-python/receipt.json" ] && [ -r "$1/.standalone-python/receipt.json" ]; then
    receipt=
    while IFS= read -r line || [ -n "$line" ]; do
      # The controller has no use for some lines, and rarely for others.
      case $line in
        ' "bundled"'* | ' "implementation"'* | ' "name"'* | ' "tool"'*) ;;
        ' "attested"'* | ' "components"'*) [ "$facts" = no ] || put_receipt ;;
        *) put_receipt ;;
      esac
      case $line in
        ' "started": false'*) unconfirmed=yes ;;
        ' "externally_managed": false'*) users_install=yes ;;
        ' "bundled": "'*) bundled=${line#*: \"} ;;
        ' "prefix": "'*)
          # The same folder may have another path.
          was=${line#' "prefix": "'}
          was=${was%'"'*}
          [ "$was" = "$1" ] || [ -n "$python" ] || ! [ "$was" -ef "$1" ] || put same=yes ;;
        ' "certificates_file": "/'*)
          was=${line#' "certificates_file": "'}
          [ -n "$python" ] || [ -f "${was%'"'*}" ] || put certificates=missing ;;
      esac
    done <"$1/.standalone-python/receipt.json"
    [ -z "$receipt" ] || put "receipt=$receipt"
  fi
  # What the last full check found (remember.sh).
  line=$root/.standalone-python.checked/${1##*/}
  if [ -f "$line" ] && [ -r "$line" ]; then
    IFS= read -r line <"$line"
    put "checked=$line"
  fi
  # Not -x: on a disk mounted noexec, the attempt gives the reason.
  if [ -f "$1/bin/python3" ]; then
    if [ -n "$python" ]; then put start=untried
    else
      check_build "$1"
      if [ -n "$unconfirmed$open" ]; then
        unusual
        start_unusual "$1"
      else start "$1"
      fi
      put "start=$code"
      say says "$says"
    fi
  fi
  [ "$verify" != full ] || {
    unusual
    compare "$1"
  }
  # Counting names costs almost nothing, and shows that a part of the standard library is missing.
  entries "$1"/lib/python3.*/*
  count=$entries
  entries "$1"/lib/python3.*/lib-dynload/*
  count=$((count + entries))
  for p in "$1"/lib/python3.*/__pycache__; do
    [ ! -d "$p" ] || count=$((count - 1))
  done
  put "modules=$count"
  [ -z "$users_install" ] || user_packages "$1"
}

user_packages() { # BUILD-FOLDER: prints how many packages users installed
  bundled=" ${bundled%\"*} "
  count=0
  for p in "$1"/lib/python3.*/site-packages/*.dist-info "$1"/lib/python3.*/site-packages/*.egg-info; do
    case $bundled in *" ${p##*/} "*) ;; *) [ ! -e "$p" ] || count=$((count + 1)) ;; esac
  done
  put "packages=$count"
}

cpu_flags() { # KEY: prints the CPU's flags on Linux
  while IFS= read -r line; do
    case $line in
      flags*:*) put "$1=${line#*: }" && break ;;
    esac
  done </proc/cpuinfo 2>/dev/null
}

link_target() { # LINK -> its target
  if have readlink; then readlink "$1"
  else
    listed=$(QUOTING_STYLE=literal LC_ALL=C ls -ldn "$1") && printf '%s' "${listed#*"$1 -> "}"
  fi
}

links() { # LINK...: prints their targets; busybox' ls hides letters that aren't ASCII
  [ $# -gt 0 ] || return 0
  case $listed in
    *'?'*) ! have readlink || {
      for p; do
        line=$(printf '%s -> ' "$p" && readlink "$p")
        put "link=${line%%"$nl"*}"
      done
      return
    } ;;
  esac
  IFS=$nl
  set -f
  for line in $listed; do
    unset IFS
    file=/${line#*" /"}
    file=${file%%" -> "*}
    case $line/${file##*/} in
      l*/cpython-* | l*/python*) case ${file%/*} in "${root%/}" | "${bin_dir%/}") put "ls=$line" ;; esac ;;
    esac
  done
  unset IFS
  set +f
}

inspect() { # LINK...: lists links, and what is started or written to, with one ls; prints who else could change root and bin_dir
  root_open=
  bin_dir_open=
  if [ -n "$python" ]; then
    [ $# = 0 ] || listed=$(list "$@")
    return 0
  fi
  for p in "$root"/cpython-*; do
    case $p in *"$nl"*) continue ;; esac
    [ -h "$p" ] || [ ! -d "$p/.standalone-python" ] ||
      set -- "$@" "$p" "$p/bin" "$p/bin/python3" "$p"/bin/python3.* "$p/lib" "$p"/lib/libpython*
  done
  parents "$root"
  root_parents=$parents
  parents "$bin_dir"
  classify_all "$root_parents$nl$parents" "$@"
  check_parents "$parents"
  bin_dir_open=$open
  check_parents "$root_parents"
  root_open=$open
  root_only=$only
  [ -z "$root_open" ] || say root_exposed "$root_open"
  [ -z "$bin_dir_open" ] || say bin_dir_exposed "$bin_dir_open"
}

# shellcheck disable=SC2329 # unusual.sh replaces it
unusual() { # ends a quick look; the controller sends all parts then
  put '== standalone-python observation unfinished =='
  flush
  exit
}

observe() {
  forget
  put '== standalone-python observation 1 =='
  case $root$bin_dir in *'~'*) root=$(expand_home "$root") bin_dir=$(expand_home "$bin_dir") ;; esac
  say root "$root"
  say bin_dir "$bin_dir"
  folder_state root "$root"
  folder_state bin_dir "$bin_dir"
  leveled=
  [ -z "$outdated" ] || put outdated=yes
  [ -z "$cleared" ] || put cleared=yes
  # Locks and leftovers. Others have a file .lock too, but no link of that name.
  for p in "$root"/.standalone-python[.-][ls]* "$root"/.staging* "$root"/.lock-broken-* "$bin_dir/.standalone-python-link" "$root/.lock"; do
    case $p in */.lock) [ -h "$p" ] ;; *) exists "$p" ;; esac || continue
    unusual
    locks
    leftovers
    break
  done
  set --
  for p in "$root"/cpython-*; do
    case $p in *"$nl"*) continue ;; esac
    if [ -h "$p" ]; then set -- "$@" "$p"
    elif [ -d "$p/.standalone-python" ]; then :
    elif [ -d "$p" ]; then put "occupied=$p/"
    elif [ -e "$p" ]; then put "occupied=$p"
    fi
  done
  for p in "$bin_dir"/python*; do
    case $p in *"$nl"*) continue ;; esac
    if [ -h "$p" ]; then set -- "$@" "$p"
    elif [ -d "$p" ]; then put "occupied=$p/"
    elif [ -e "$p" ]; then put "occupied=$p"
    fi
  done
  inspect "$@"
  for p in "$root"/cpython-*; do
    case $p in *"$nl"*) continue ;; esac
    [ -h "$p" ] || [ ! -d "$p/.standalone-python" ] || examine "$p"
  done
  links "$@"
  [ -z "$processes" ] || tell_processes
  [ -z "$history" ] || tell_history
  if [ "$facts" != no ]; then host_facts
  elif [ -n "$leveled" ] && [ -z "$python" ]; then cpu_flags cpu
  fi
  put '== standalone-python observation end =='
  flush
}
