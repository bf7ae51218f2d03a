# trust.sh: finds who else can change what a run starts or writes to. Sent with observe.sh.
#
# Trusted are root, the runner, and the owner of / (root's number in a user namespace), who could change this very shell. A group
# is trusted if it is root's or, unless the runner is root, the runner's own. In a sticky folder others can add entries, but not
# replace them.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these
# shellcheck disable=SC3066,SC3067 # see observe.sh

parents() { # PATH -> parents: PATH, all folders above it, and the links on the way with their targets; / first
  to_climb=${1#/}
  at=
  hops=0
  parents=/
  while [ -n "$to_climb" ]; do
    part=${to_climb%%/*}
    case $to_climb in */*) to_climb=${to_climb#*/} ;; *) to_climb= ;; esac
    case $part in
      '' | .) continue ;;
      ..) at=${at%/*} && continue ;;
    esac
    at=$at/$part
    parents=$parents$nl$at
    if [ -h "$at" ] && [ $hops -lt 40 ]; then
      hops=$((hops + 1))
      target=$(link_target "$at")
      case $target in /*) at= ;; *) at=${at%/*} ;; esac
      to_climb=$target${to_climb:+/$to_climb}
    fi
  done
}

list() { # PATH...: call it in a subshell, as it ends in ls
  export QUOTING_STYLE=literal LC_ALL=C
  # -n: looking up an owner's name may ask a server.
  exec ls -ldn "$@" 2>/dev/null
}

forget() { # all that was classified
  exposed=$nl safe=$nl targets=$nl whole=
}

classify() { # LINES [PATH]: adds each path in the output of list, or PATH, to $safe; or to $exposed with who else can change it
  # Links are also added to $targets.
  lines=$1
  given=${2-}
  # Further lines may be the text of a link.
  [ -z "$given" ] || lines=${1%%"$nl"*}
  counted=0
  set -f
  # Word splitting, as dash needs milliseconds to cut a long text into lines.
  IFS=$nl
  for line in $lines; do
    unset IFS
    # shellcheck disable=SC2086 # split into words on purpose
    set -- $line
    [ $# -gt 4 ] || continue
    counted=$((counted + 1))
    file=${given:-/${line#*" /"}}
    who=
    case $1 in
      l*)
        [ -n "$given" ] || file=${file%%" -> "*}
        targets="$targets$file ->$nl: ${line##*" -> "}$nl" ;;
      d????????[tT]*) case $1 in ?????w* | ????????w*) who="sticky $1" ;; esac ;;
      ????????w*) who="others $1" ;;
      ?????w????+*) who="acl $1" ;;
      ?????w*) [ "$4" = 0 ] || { [ ! -O / ] && [ -G "$file" ]; } || who="group $4" ;;
      # Except on macOS, the group's bits limit what an access list allows.
      ??????????+*) [ ! -d /System/Library ] || case $(ls -lden "$file") in
        *allow*write* | *allow*a[dp][dp]* | *allow*delete* | *allow*chown*) who="acl $1" ;;
      esac ;;
    esac
    [ "$file" != / ] || top=${top:-$3}
    case $3 in
      0 | "$top") ;;
      *)
        case $1 in
          l*) [ "$3" = "${my_uid:=$(id -u)}" ] ;;
          *) [ -O "$file" ] && my_uid=$3 ;;
        esac || case $who in '' | sticky*) who="owner $3" ;; esac ;;
    esac
    if [ -n "$who" ]; then exposed=$exposed$file$nl$who$nl; else safe=$safe$file$nl; fi
  done
  unset IFS
  set +f
}

classify_all() { # LINES-OF-PATHS PATH...: classifies those that exist, with one ls
  paths=$1
  shift
  IFS=$nl
  set -f
  # shellcheck disable=SC2086 # a path each
  set -- $paths "$@"
  paths=
  for file; do
    ! exists "$file" || paths=$paths$nl$file
  done
  # shellcheck disable=SC2086 # a path each
  set -- $paths
  set +f
  unset IFS
  forget
  top=
  # One line for each path: a link's text could contain forged lines.
  if listed=$(list "$@") && classify "$listed" && [ "$counted" = $# ]; then whole=yes
  else
    forget
    top=
  fi
}

check() { # PATH [MORE] -> open: the first reason not to trust it; only: the one user who could have changed it, or -
  # A path may be missing in the list, as busybox' ls hides letters that aren't ASCII.
  case $exposed in
    *"$nl$1$nl"*) ;;
    *)
      case $safe in *"$nl$1$nl"*) return 0 ;; esac
      classify "$(list "$1")" "$1"
      case $safe in *"$nl$1$nl"*) return 0 ;; esac ;;
  esac
  who='unknown -'
  case $exposed in
    *"$nl$1$nl"*)
      who=${exposed#*"$nl$1$nl"}
      who=${who%%"$nl"*} ;;
  esac
  case $who in
    sticky*)
      [ -z "${2-}" ] || return 0
      who="others ${who#* }" ;;
  esac
  open=${open:-$who $1}
  case $who in
    "owner $only") ;;
    owner*) if [ -z "$only" ]; then only=${who#* }; else only=-; fi ;;
    *) only=- ;;
  esac
}

all_safe() { # PATH: whether classify_all saw it with all that belongs to it, and nothing is exposed: the usual case
  [ "$whole$exposed" = "yes$nl" ] || return 1
  case $safe in *"$nl$1$nl"*) ;; *) return 1 ;; esac
}

check_parents() { # PATHS of parents: checks those that exist
  open=
  only=
  last=${1##*"$nl"}
  ! all_safe "$last" || return 0
  IFS=$nl
  set -f
  for step_up in $1; do
    unset IFS
    set +f
    if [ "$step_up" = "$last" ]; then ahead=; else ahead='more'; fi
    ! exists "$step_up" || check "$step_up" "$ahead"
  done
  unset IFS
  set +f
}

check_build() { # BUILD-FOLDER: checks what its interpreter loads to print its version
  open=$root_open
  only=$root_only
  all_safe "$1" || for part in "$1" "$1/bin" "$1/lib" "$1"/lib/libpython*; do
    ! exists "$part" || check "$part"
  done
  part=$1/bin/python3
  for _ in 1 2 3 4; do
    check "$part"
    case $targets in *"$nl$part ->$nl"*) ;; *) return 0 ;; esac
    target=${targets#*"$nl$part ->$nl: "}
    target=${target%%"$nl"*}
    case $target in */*) break ;; esac
    part=$1/bin/$target
  done
  open=${open:-link - $part}
  only=-
}
