# removal.sh: the part of script.sh that removes builds. The controller has put the names of those that may have to go in order.
# `kind_N` of the renderer calls `unwanted`, `replaced` and `others` with names; a host's builds of other names stay.
#
# Set before it: what script.sh needs, and unless_used (yes, or empty). With it, processes.sh is a part of the script.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

forget_removals() {
  gone=' ' # names of builds that go
  busy=' ' # of those that would go, if no process ran from them
  kept=' ' # of replaced builds that stay
  wanted=$nl # paths of the declared links
  unlinks=
}
forget_removals

unwanted() { # NAME...: builds that go
  [ "$phase" = decide ] || return 0
  for one; do ! is_build "$one" || gone="$gone$one "; done
}

replaced() { # LINE KEEP NAME...: builds of a line that the script doesn't install, newest first; KEEP of them stay
  [ "$phase" = decide ] || return 0
  at=$root/$1
  room=$2
  shift 2
  there=' '
  for one; do ! stays "$one" || there="$there$one "; done
  [ "$there" != ' ' ] || return 0
  # The build that was in use stays before any other.
  now=
  [ ! -h "$at" ] || now=$(link_target "$at" 2>/dev/null)
  now=${now#"$root/"}
  case $there in *" $now "*) ;; *) now= ;; esac
  for one in $now $there; do
    ! has_word "$one" "$kept" || continue
    if [ "$room" -gt 0 ]; then
      room=$((room - 1))
      kept="$kept$one "
    elif has_user_packages "$one"; then :
    else gone="$gone$one "
    fi
  done
}

has_user_packages() { # NAME: would the removal lose packages that only a controller copies?
  [ -n "$keeps_packages" ] || return
  packages=${seen#*"${nl}build=$1$nl"}
  packages=${packages%%"${nl}build="*}
  case $packages in *"${nl}packages="[1-9]*) ;; *) return 1 ;; esac
}

others() { # NAME...: the script's own builds. Decides which others go, with their links, and tells what stays
  case $phase in
    decide) find_removals "$@" ;;
    prepare) [ "$gone" = ' ' ] || can_record ;;
    commit) remove_all ;;
  esac
}

find_removals() { # NAME...: the script's own builds
  will=$gone
  gone=' '
  for p in "$root"/cpython-*; do
    one=${p##*/}
    is_build "$one" || continue
    if has_word "$one" "$will"; then
      if [ -n "$unless_used" ] && is_used "$one"; then busy="$busy$one "; else gone="$gone$one "; fi
    elif ! has_word "$one" " $* $kept"; then left="$left $one"
    fi
  done
  [ "$gone$busy" != '  ' ] || return 0
  made=" $* "
  for p in "$bin_dir"/python*; do
    { is_unwanted "$p" && is_python "$p"; } || continue
    to=$(link_target "$p")
    inside=${to#"$root/"}
    case $inside in "$to" | cpython-*/bin/*/*) continue ;; cpython-*/bin/python*) is_python "$inside" || continue ;; *) continue ;; esac
    leads_on "${inside%%/*}" || add_unlink "$p" "$to"
  done
  # Last, because others lead through them. A process in a virtual environment imports through the one of its build.
  for p in "$root"/cpython-*; do
    is_unwanted "$p" || continue
    case ${p##*/} in *-*-* | *.*.*) continue ;; cpython-[0-9]*.[0-9]*) ;; *) continue ;; esac
    to=$(link_target "$p")
    case ${to#"$root/"} in */*) continue ;; cpython-[0-9]*+[0-9]*-*) ;; *) continue ;; esac
    { is_build "${to#"$root/"}" && ! has_word "${to#"$root/"}" "$gone"; } || add_unlink "$p" "$to"
  done
  for one in $gone; do todo="${todo}remove $one$nl"; done
}

is_wanted() { case $wanted in *"$nl$1$nl"*) ;; *) return 1 ;; esac } # PATH: is it a declared link?

is_unwanted() { [ -h "$1" ] && ! is_wanted "$1"; } # PATH: is it a link that isn't declared?

is_python() { case ${1##*/python} in *[!0-9td.]*) return 1 ;; esac } # PATH: has it the name of an interpreter?

leads_on() { # LINE-OR-BUILD: does it lead to a build that stays?
  one=$1
  case $one in
    *-*-*) ;;
    *)
      ! is_wanted "$root/$one" || return 0
      [ -h "$root/$one" ] || return 1
      one=$(link_target "$root/$one")
      one=${one#"$root/"} ;;
  esac
  has_word "$one" "$made" || stays "$one"
}

add_unlink() { # PATH TARGET
  todo="${todo}remove the link $1 to $2$nl"
  unlinks=$unlinks$1$nl
}

remove_all() {
  IFS=$nl
  set -f
  # shellcheck disable=SC2086 # one word a line
  set -- $unlinks
  set +f
  unset IFS
  for p; do
    to=$(link_target "$p" 2>/dev/null)
    does "remove the link $p to $to" || fail changed "$p"
    committing=yes
    unlink "$p"
  done
  [ "$gone" != ' ' ] || return 0
  # Processes may have started since the decision.
  sight=
  users=$nl
  used=$nl
  for one in $gone; do
    committing=yes
    if [ -z "$unless_used" ]; then remove "$one"; else remove_unused "$one" || : ; fi
  done
  for p in "$root"/cpython-*; do ! is_build "${p##*/}" || return 0; done
  record
}
