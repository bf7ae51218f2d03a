# trust.sh: who else can change what a run starts or writes to. Each look at a host needs it, so observe.sh is never sent without it.
#
# Who else can change what this run starts or writes to? Root and the runner itself are trusted, as is the owner of /, who could
# change this very shell (in a user namespace root has another number). A group is trusted if it is root's or, unless the runner
# is root, the runner's own. In a sticky folder others can add entries, but not replace them.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these
# shellcheck disable=SC3066,SC3067 # see observe.sh

climb() { # PATH: in $climbed every folder on the way to it and itself, top first, links and where they lead included
  to_climb=${1#/}
  at=
  hops=0
  climbed=/
  while [ -n "$to_climb" ]; do
    part=${to_climb%%/*}
    case $to_climb in */*) to_climb=${to_climb#*/} ;; *) to_climb= ;; esac
    case $part in
      '' | .) continue ;;
      ..) at=${at%/*} && continue ;;
    esac
    at=$at/$part
    climbed=$climbed$nl$at
    if [ -h "$at" ] && [ $hops -lt 40 ]; then
      hops=$((hops + 1))
      target=$(leads_to "$at")
      case $target in /*) at= ;; *) at=${at%/*} ;; esac
      to_climb=$target${to_climb:+/$to_climb}
    fi
  done
}

list() { # PATH...: call it in a subshell, which becomes ls
  export QUOTING_STYLE=literal LC_ALL=C
  # -n: the owner's name would be looked up, which may ask a server on the network.
  exec ls -ldn "$@" 2>/dev/null
}

judge() { # LINES [PATH]: adds to $judged each path that list tells of, or PATH, and on the next line who else can change it
  lines=$1
  given=${2-}
  # What follows may be the text of somebody's link.
  [ -z "$given" ] || lines=${1%%"$nl"*}
  counted=0
  set -f
  # Split so, as dash takes milliseconds to cut a long text line by line.
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
        judged="$judged$file ->$nl: ${line##*" -> "}$nl" ;;
      d????????[tT]*) case $1 in ?????w* | ????????w*) who="sticky $1" ;; esac ;;
      ????????w*) who="others $1" ;;
      ?????w????+*) who="acl $1" ;;
      ?????w*) [ "$4" = 0 ] || { [ ! -O / ] && [ -G "$file" ]; } || who="group $4" ;;
      # Elsewhere the group's bits say what an access list allows at most.
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
    if [ -n "$who" ]; then judged=$judged$file$nl$who$nl; else sound=$sound$file$nl; fi
  done
  unset IFS
  set +f
}

judge_all() { # LINES-OF-PATHS PATH...: what is there of them, with one ls if that can be
  paths=$1
  shift
  IFS=$nl
  set -f
  # shellcheck disable=SC2086 # a path each
  set -- $paths "$@"
  set +f
  unset IFS
  for file; do
    shift
    ! there "$file" || set -- "$@" "$file"
  done
  judged=$nl
  sound=$nl
  top=
  # A line for each, and no line more: a link's text could have several, in the words of ls.
  { listed=$(list "$@") && judge "$listed" && [ "$counted" = $# ]; } || judged=$nl sound=$nl top=
}

weigh() { # PATH [MORE]: in $open the first reason not to trust it; in $only the one user who could have changed it, or -
  # A line that is missing, or tells of another name: busybox' ls hides letters that aren't ASCII.
  case $judged in
    *"$nl$1$nl"*) ;;
    *)
      case $sound in *"$nl$1$nl"*) return 0 ;; esac
      judge "$(list "$1")" "$1"
      case $sound in *"$nl$1$nl"*) return 0 ;; esac ;;
  esac
  who='unknown -'
  case $judged in
    *"$nl$1$nl"*)
      who=${judged#*"$nl$1$nl"}
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

weigh_way() { # what climb found: what isn't there yet, nobody can have changed
  open=
  only=
  last=${1##*"$nl"}
  IFS=$nl
  set -f
  for step_up in $1; do
    unset IFS
    set +f
    if [ "$step_up" = "$last" ]; then ahead=; else ahead='more'; fi
    ! there "$step_up" || weigh "$step_up" "$ahead"
  done
  unset IFS
  set +f
}

weigh_build() { # BUILD-FOLDER: what its interpreter is loaded from to say its version
  open=$root_open
  only=$root_only
  for part in "$1" "$1/bin" "$1/lib" "$1"/lib/libpython*; do
    ! there "$part" || weigh "$part"
  done
  part=$1/bin/python3
  for _ in 1 2 3 4; do
    weigh "$part"
    case $judged in *"$nl$part ->$nl"*) ;; *) return 0 ;; esac
    target=${judged#*"$nl$part ->$nl: "}
    target=${target%%"$nl"*}
    case $target in */*) break ;; esac
    part=$1/bin/$target
  done
  open=${open:-link - $part}
  only=-
}
