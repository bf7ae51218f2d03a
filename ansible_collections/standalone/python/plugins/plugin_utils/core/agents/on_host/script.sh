# script.sh: the main part of a script that installs builds on a host without a controller. It follows all other parts.
#
# The controller has made the plan for an empty host. `kind_N` of the renderer calls `build`, `stable_link` and `link_in_bin` for
# each step of it. They do a step only if the host lacks its result, which the observation shows. Then it calls the functions of
# removal.sh. All of these never compare versions, choose builds, or change what standalone-python did not create.
#
# Set before it: what apply.sh needs, kinds (the triples, for people), made_from (the lock file and its sha256), force and keeps_packages
# (yes, or empty). The renderer adds the functions choose_kind, kind_N, prepare_N, sentence, exposure and help.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

archives=
own= # by find_archives: the archive is in this file
check=
quiet=
json=
phase=
todo=
left=

end_with() { # SENTENCE [CODE]: texts of hosts and servers may contain control characters
  printf '%s\n' "install-python: $1" | LC_ALL=C tr '\001-\011\013-\037\177' ' ' >&2
  exit "${2:-1}"
}

tell_failure() { # CODE [DETAIL]: instead of apply.sh's: no controller reads the answer
  detail=$(printf '%s' "${2-}" | tr '\n' ' ')
  case $1 in
    untrusted | exposed_certificates)
      exposure "$detail"
      detail=$exposure ;;
  esac
  sentence "$1" "$detail"
  case $1,$detail in
    inodes,* | noinodes,*) ;;
    *'No space left on device'* | space,*[!0-9\ ]*) sentence="the disk is full ($detail): make room on it and run again" ;;
    *'Read-only file system'*) sentence="the file system is read-only ($detail): choose another root, or mount it writable" ;;
  esac
  [ -z "$committing" ] || end_with "$step failed: $sentence; the host is between two states, run again to complete it"
  end_with "$step failed: $sentence; nothing was changed"
}

value() { # KEY -> value: of the observation; empty if it lacks the key
  value=
  case $seen in *"$nl$1="*) value=${seen#*"$nl$1="} && value=${value%%"$nl"*} ;; esac
}

look() { # FACTS(yes|no) -> seen: the observation
  facts=$1
  seen=$nl$(observe </dev/null 2>/dev/null)$nl
  case $seen in
    *"$nl== standalone-python observation end ==$nl"*) ;;
    *) end_with "this host can't be looked at: its shell ended early; nothing was changed" ;;
  esac
}

decide() { # -> todo: the steps that this host needs, one a line
  todo=
  left=
  forget_removals
  phase=decide
  "kind_$kind"
}

is_since() { # VERSION MAJOR MINOR: an unknown version is new enough
  case $1 in [0-9]*.[0-9]*) ;; *) return 0 ;; esac
  minor=${1#*.}
  minor=${minor%%[!0-9]*}
  [ "${1%%.*}" -gt "$2" ] || { [ "${1%%.*}" -eq "$2" ] && [ "$minor" -ge "$3" ]; }
}

has_word() { case $2 in *" $1 "*) ;; *) return 1 ;; esac; } # WORD WORDS

does() { # STEP: whether it is to be done; while deciding, it is written down
  case $phase in
    decide) todo=$todo$1$nl ;;
    *) case $nl$todo in *"$nl$1$nl"*) ;; *) return 1 ;; esac ;;
  esac
}

state_of() { # NAME VERSION ITS-LINES LINES LINES-THAT-IT-MUST-LACK -> state: absent, sound, unconfirmed, otherwise, broken or foreign
  state=absent
  case $seen in
    *"${nl}build=$1$nl"*) ;;
    *"${nl}occupied=$root/$1$nl"* | *"${nl}occupied=$root/$1/$nl"*) state=foreign && return ;;
    *) ! exists "$root/$1" || state=foreign
      return ;;
  esac
  state=broken
  found=${seen#*"${nl}build=$1$nl"}
  found=$nl${found%%"${nl}build="*}$nl
  case $found in
    *"${nl}start=untrusted$nl"*) ;;
    *"${nl}start=0$nl"*"says=Python $2${nl}modules="*) ;;
    *) return 0 ;;
  esac
  case $found in *"${nl}certificates=missing$nl"*) return 0 ;; esac
  ! has_damage || return 0
  # An escaped path can't be compared.
  case $root in
    *[!A-Za-z0-9/._+~\ -]*) ;;
    *) case $found in *"${nl}receipt= \"prefix\": \"$root/$1\""* | *"${nl}same=yes$nl"*) ;; *) return 0 ;; esac ;;
  esac
  expected=${found##*"${nl}receipt= \"modules\": "}
  expected=${expected%%[!0-9]*}
  modules_found=${found#*"${nl}modules="}
  modules_found=${modules_found%%"$nl"*}
  case $expected,$modules_found in ,* | *, | *[!0-9,]*) return 0 ;; esac
  [ "$modules_found" -ge "$expected" ] || return 0
  IFS=$nl
  set -f
  has_lines "$3" && state=otherwise && has_lines "$4" && ! has_any_line "$5" && state=sound
  set +f
  unset IFS
  [ "$state" = sound ] || return 0
  case $found in *"${nl}receipt= \"started\": false"*) state=unconfirmed ;; esac
}

has_damage() { # is there damage that the last full check found (remember.sh) and nobody repaired?
  case $found in *"${nl}checked="*' '*' '*"$nl"*) ;; *) return 1 ;; esac
  line=${found#*"${nl}checked="}
  line=${line%%"$nl"*}
  line=${line#* }
  case ${line#* } in "$line" | clean) return 1 ;; esac
  # Of another installation it says nothing.
  line=${line%% *}
  case $found in *"${nl}receipt= \"installed_at\": \"${line%%/*}\""*) ;; *) return 1 ;; esac
  case $found in *"${nl}receipt= \"files_sha256\": \"${line#*/}\""*) ;; *) return 1 ;; esac
}

has_lines() { # LINES: begins each a line of the receipt? IFS is a line end.
  for line in $1; do
    case $found in *"${nl}receipt= $line"*) ;; *) return 1 ;; esac
  done
}

has_any_line() { # LINES
  for line in $1; do
    case $found in *"${nl}receipt= $line"*) return 0 ;; esac
  done
  return 1
}

build() { # NAME VERSION PREPARE ITS-LINES LINES LINES-THAT-IT-MUST-LACK: a build that the host must have
  if [ "$phase" = decide ]; then
    state_of "$1" "$2" "$4" "$5" "$6"
    case $state in
      absent) todo="${todo}install $1$nl" ;;
      unconfirmed) [ ! -w "$root" ] || todo="${todo}confirm $1$nl" ;;
      foreign)
        [ -n "$force" ] || end_with "cannot install $1 in $root: something of that name exists there and was not created by \
standalone-python; move it away, choose another root, or declare force: true; nothing was changed"
        todo="${todo}install $1$nl" ;;
      otherwise | broken)
        packages=${found#*"${nl}packages="}
        case ${keeps_packages:+"$packages"} in
          [1-9]*) end_with "$root/$1 has to be installed again, and contains packages of users, which only a run of \
standalone-python with a controller copies: use that, or declare user_packages: discard; nothing was changed" ;;
        esac
        if [ "$state" = broken ]; then todo="${todo}repair $1$nl"; else todo="${todo}reinstall $1$nl"; fi ;;
    esac
    return
  fi
  if does "confirm $1"; then
    case $phase in
      prepare)
        start_build "$1"
        try_build "$1" ;;
      commit) confirm "$1" ;;
    esac
  elif does "install $1" || does "repair $1" || does "reinstall $1"; then
    case $phase in
      prepare) "$3" ;;
      commit)
        committing=yes
        commit_build "$1" ;;
    esac
  fi
}

may_link() { # PATH PATTERN...: is there nothing, or a link to a build of the root?
  exists "$1" || return 0
  [ ! -d "$1" ] || [ -h "$1" ] || return 1
  [ -z "$force" ] || return 0
  [ -h "$1" ] || return 1
  to=$(link_target "$1" 2>/dev/null)
  case ${to#"$root/"} in
    cpython-*/*/*/*) return 1 ;;
    cpython-*/bin/python*) [ "$1" != "$root/${1##*/}" ] ;;
    cpython-*/*) return 1 ;;
    cpython-*) [ "$1" = "$root/${1##*/}" ] ;;
    *) return 1 ;;
  esac
}

set_link() { # PATH TARGET: a link that the host must have
  case $phase in
    decide)
      wanted=$wanted$1$nl
      is_unchanged "$1" link "$2" && return
      may_link "$1" || end_with "cannot link $1 to $2: it exists and was not created by standalone-python; move it away, choose \
another folder, or declare force: true; nothing was changed"
      todo="${todo}link $1 to $2$nl" ;;
    prepare)
      does "link $1 to $2" || return 0
      can_make_links "${1%/*}"
      [ "${1%/*}" != "$root" ] || can_record ;;
    commit)
      does "link $1 to $2" || return 0
      may_link "$1" || fail changed "$1"
      committing=yes
      if [ "${1%/*}" = "$root" ] && [ -h "$1" ]; then push "$(link_target "$1")"; fi
      link "$1" "$2" ;;
  esac
}

push() { # BUILD: adds it to the history; builds that are gone or go drop out
  was=$1
  set --
  last=
  words=
  past=$root/.standalone-python.history
  if [ -f "$past" ] && [ ! -h "$past" ] && [ -r "$past" ]; then
    words "$past"
    while IFS= read -r line || [ -n "$line" ]; do
      ! stays "$line" || { last=$line && set -- "$@" "$line"; }
    done <"$past"
  fi
  ! stays "$was" || [ "$was" = "$last" ] || set -- "$@" "$was"
  [ "$*" = "$words" ] || record "$@"
}

is_build() { # NAME: is it one in the root?
  case $1 in */* | '') return 1 ;; cpython-*) [ ! -h "$root/$1" ] && [ -d "$root/$1/.standalone-python" ] ;; *) return 1 ;; esac
}

stays() { is_build "$1" && ! has_word "$1" "$gone$busy"; } # NAME

stable_link() { set_link "$root/$1" "$2"; } # LINE NAME
link_in_bin() { set_link "$bin_dir/$1" "$root/$2"; } # NAME LINE/EXECUTABLE

premises() { # apply.sh asks when it has the lock, and again when all is prepared
  before=$todo
  look no
  decide
  # Another run may have done it while this one waited.
  if [ -z "$prepared" ] || [ "$todo" = "$before" ]; then return 0; fi
  differs=$root
  return 1
}

prepare() {
  prepared=yes
  phase=prepare
  case $todo in *"link $bin_dir/"*) require_trusted "$bin_dir" ;; esac
  "kind_$kind"
}

commit() {
  phase=commit
  "kind_$kind"
}

# The renderer sets beside, a folder with the archives that lies beside the script, or embedded, the place of the archive in it.
find_archives() { # -> archives: the folder or the file that has the archives; empty if they are downloaded
  case $beside$embedded,$archives in ,* | *,?*) return ;; esac
  # In `sh -s` it is the name of the shell.
  first=
  [ ! -f "$0" ] || IFS= read -r first <"$0"
  [ "$first" = '#!/bin/sh' ] || end_with "the archives lie beside or in the script, so it has to be run as a file: sh FILE${beside:+, or name \
their folder with --archives}; nothing was changed"
  case $0 in
    /*) archives=$0 ;;
    *) archives=$PWD/$0 ;;
  esac
  if [ -n "$beside" ]; then archives=${archives%/*}/$beside; else own=yes; fi
}

use_archives() { # instead of what download.sh does
  download() { # URL TO
    if [ -z "$own" ]; then cp "$(shown "$1")" "$2" 2>"$here/err"
    else tail -c "+$embedded" "$archives" >"$2" 2>"$here/err"
    fi
  }
  shown() { # URL -> the file in the folder, whose layout is a mirror's
    file=${1##*/}
    release=${1%/*}
    while :; do
      case $file in *%2[Bb]*) file=${file%%%2[Bb]*}+${file#*%2[Bb]} ;; *) break ;; esac
    done
    printf '%s' "$archives/${release##*/}/$file"
  }
}

folder() { # OPTION FOLDER -> folder: absolute
  case $2 in
    *"$nl"* | */../* | */.. | '') end_with "$1 is not a valid folder: give an absolute path, without .." 64 ;;
    /?* | \~/?*) folder=$(expand_home "${2%/}") ;;
    *) end_with "$1 is $2: give an absolute path, or one that begins with ~/" 64 ;;
  esac
  case $folder in \~*) end_with "$folder can't be resolved, as no home folder of this user is known: set HOME" ;; esac
}

json_list() { # LINES
  printf '%s' "$1" | sed -e 's/[\\"]/\\&/g' -e 's/.*/"&"/' -e '$!s/$/,/' | tr '\n' ' '
}

remark() { # VERB-LINES -> remarks: what a run with a controller warns of, too
  remarks=
  [ -n "$unless_used" ] || return 0
  blindness "$sight"
  [ -n "$blindness" ] || return 0
  removed=
  IFS=$nl
  set -f
  for line in $1; do
    case $line in 'remove cpython-'*) removed="$removed${removed:+, }${line#remove }" ;; esac
  done
  set +f
  unset IFS
  [ -z "$removed" ] || remarks="$blindness: a process may have run from $removed; if so, restart it"
}

tell() { # VERB-LINES CHANGED(true|false)
  remark "$1"
  if [ -n "$json" ]; then
    busy=${busy# }
    printf '{"changed": %s, "target": "%s", "plan": [%s], "left_alone": [%s], "in_use": [%s], "remarks": [%s], "made_from": "%s"}\n' "$2" "$triple" \
      "$(json_list "$1")" "$(json_list "$(printf '%s' "${left# }" | tr ' ' '\n')")" \
      "$(json_list "$(printf '%s' "${busy% }" | tr ' ' '\n')")" "$(json_list "$remarks")" "$made_from"
    return
  fi
  [ -z "$quiet" ] || return 0
  if [ -n "$1" ]; then printf '%s' "$1"; else echo 'nothing to do'; fi
  [ -z "$left" ] || echo "left alone:$left"
  [ "$busy" = ' ' ] || echo "in use, a later run removes them:${busy% }"
  [ -z "$remarks" ] || echo "$remarks"
}

require_possible() { # so that --check refuses what this user may not do, as a run does
  value root_state
  [ "$value" != unwritable ] ||
    end_with "the root $root can't be written by this user: become a user who may, or choose another with --root; nothing was changed"
  value root_exposed
  [ -z "$value" ] || {
    exposure "$value"
    end_with "$root can't be used as root, as $exposure: let only root and this user change it, or choose another with --root"
  }
  case $todo in *"link $bin_dir/"*) ;; *) return 0 ;; esac
  value bin_dir_state
  case $value in
    writable | absent) ;;
    *) end_with "the folder for links $bin_dir is $value for this user: become a user who may, or choose another with --bin-dir" ;;
  esac
  value bin_dir_exposed
  [ -z "$value" ] || {
    exposure "$value"
    end_with "$bin_dir can't be used as bin_dir, as $exposure: let only root and this user change it, or choose another with --bin-dir"
  }
}

main() {
  given_bin=
  given_root=
  while [ $# -gt 0 ]; do
    case $1 in
      --check) check=yes ;;
      --quiet) quiet=yes ;;
      --json) json=yes ;;
      -h | --help)
        help
        exit 0 ;;
      --root | --bin-dir | --archives)
        [ $# -gt 1 ] || end_with "$1 needs a folder" 64
        folder "$1" "$2"
        case $1 in
          --root) root=$folder given_root=yes ;;
          --bin-dir) bin_dir=$folder given_bin=yes ;;
          *) archives=$folder ;;
        esac
        shift ;;
      *) end_with "unknown option $1: see --help" 64 ;;
    esac
    shift
  done
  [ -z "$given_root" ] || [ -n "$given_bin" ] || bin_dir=$root/bin
  folder root "$root"
  root=$folder
  folder bin_dir "$bin_dir"
  bin_dir=$folder
  find_archives
  look yes
  value os && os=$value
  value arch && arch=$value
  value libc && libc=$value
  value float_abi && float_abi=$value
  value libc_version && libc_version=$value
  value cpu_flags
  kind=
  choose_kind "$os,$arch,$libc,$float_abi" "$libc_version" " $value "
  [ -n "$kind" ] || end_with "this host is $os $arch${libc:+ $libc}${libc_version:+ $libc_version}, for which this script has no \
build; it has builds for $kinds: make a script for this host too; nothing was changed"
  value root_state
  case $value in
    unreadable) end_with "the root $root can't be read by this user: choose another with --root, or become a user who may" ;;
    notfolder) end_with "the root $root is not a folder: choose another with --root" ;;
  esac
  prepared=
  decide
  [ -z "$todo" ] || require_possible
  clears=
  value lock_state
  case $value in
    alive | elsewhere) ;;
    *) [ ! -w "$root" ] || case $seen in *"${nl}leftover="* | *"${nl}lock="*) clears="clear what an earlier run left$nl" ;; esac ;;
  esac
  if [ -z "$todo$clears" ]; then
    tell '' false
    exit 0
  fi
  if [ -n "$check" ]; then
    tell "$clears$todo" true
    exit 2
  fi
  planned=$clears$todo
  facts=no
  [ -z "$archives" ] || use_archives
  # `apply` observes the host again at its end, which this script does itself.
  apply </dev/null >/dev/null
  look no
  prepared=
  decide
  for one in $busy; do
    line=remove\ $one$nl
    case $nl$planned in *"$nl$line"*) planned=${planned%%"$line"*}${planned#*"$line"} ;; esac
  done
  [ -z "$todo" ] || end_with "the host is not as planned after the change, something else changes it; still to do: \
$(printf '%s' "$todo" | tr '\n' ';')"
  if [ -n "$planned" ]; then tell "$planned" true; else tell '' false; fi
  exit 0
}
