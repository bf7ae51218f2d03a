# processes.sh: finds the processes that run from the builds of a root. It only reads. Sent with a plan that removes builds or moves
# stable links, and where a look at a host asks for processes.
#
# A process counts if it maps a file below the root, or if its executable is a build's interpreter. The paths in /proc/PID/maps are
# those of the process' own mount namespace. So they are compared by device and inode through /proc/PID/root: a container's own root
# of the same path does not count, and this root under another path does. One grep reads the maps of all processes.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these
# shellcheck disable=SC3013,SC3067 # test has -ef and -O in all of them

using=$nl # a line for each process and build: the agent's answer, without its key
users=$nl # the same as PID BUILD
used=$nl # the builds
sight= # which processes this user can see: all, some or none
found_count=0
named=$nl # the names of accounts: NUMBER:NAME
held= # the builds that remove_unused left

find_processes() {
  [ -z "$sight" ] || return 0
  sight=none
  if [ -r /proc/self/maps ] && have grep && have sed; then find_by_proc
  elif have lsof && have sed && find_by_lsof; then :
  elif have fuser && have ps; then find_by_fuser
  fi
}

find_by_proc() {
  sight=all
  # With hidepid, a user does not see the processes of others.
  [ -d /proc/1 ] || sight=some
  # gVisor has no such link.
  view=/
  [ ! -d /proc/self/root/proc ] || view=
  found=$(
    {
      refused=$(LC_ALL=C grep -aF /cpython- /dev/null /proc/[0-9]*/maps 2>&1 >&3)
      # A machine's first process may have more rights than any shell.
      mine='/proc/1/maps: Permission denied'
      [ ! -O /proc/1 ] || refused=${refused%%"$mine"*}${refused#*"$mine"}
      case $refused in *ermission\ denied* | *'too long'*) echo denied >&3 ;; esac
    } 3>&1 | LC_ALL=C sed -n -e 's|^/proc/\([0-9]*\)/maps:[^/]*\(/.*/cpython-[^/]*\)/.*$|\1 \2|p' -e '/^denied$/p'
  )
  last=
  IFS=$nl
  set -f
  for line in $found; do
    unset IFS
    case $line in
      "$last") ;;
      denied) sight=some ;;
      *) add_mapped "${line%% *}" "${line#* }" ;;
    esac
    last=$line
  done
  unset IFS
  set +f
  for p in "$root"/cpython-*; do
    [ ! -h "$p" ] && [ -f "$p/bin/python3" ] || continue
    # A container may have only this build, under any path.
    for exe in /proc/[0-9]*/exe; do
      [ "$exe" -ef "$p/bin/python3" ] || continue
      exe=${exe%/exe}
      add_process "${exe#/proc/}" "${p##*/}" here
    done
  done
}

add_mapped() { # PID PATH/cpython-NAME: adds it if PATH is the root, or the staging folder that a removed build was moved to
  rest=$2
  while :; do
    case $rest in */cpython-*) ;; *) return 0 ;; esac
    name=cpython-${rest##*/cpython-}
    name=${name%%/*}
    rest=${rest%/cpython-*}
    state=here
    folder=$rest
    case $folder in */.standalone-python.staging*) folder=${folder%/.standalone-python.staging*} state=replaced ;; esac
    # A process that ends at this moment has no such path any more.
    [ "${view:-/proc/$1/root}$folder" -ef "$root" ] || continue
    [ -d "$root/$name" ] || state=replaced
    add_process "$1" "$name" $state
    return
  done
}

add_process() { # PID BUILD STATE [USER COMMAND]
  case $users in *"$nl$1 $2$nl"*) return 0 ;; esac
  # One for each build always, as that decides whether it stays.
  case $used in
    *"$nl$2$nl"*) [ $found_count -lt 500 ] || { sight=some && return; } ;;
  esac
  user=${4-}
  command=${5-}
  unit=
  [ -n "$user" ] || details "$1" || return 0
  case $user in *[!A-Za-z0-9_.@+\\-]*) user='?' ;; esac
  used=$used$2$nl
  users=$users$1\ $2$nl
  using=$using$1\ ${user:-?}\ ${unit:--}\ $3\ $2\ ${command%%"$nl"*}$nl
  found_count=$((found_count + 1))
}

details() { # PID -> user, command, unit; fails if the process has ended
  uid=
  while IFS= read -r line; do
    case $line in
      Name:*) command=${line#Name:?} ;;
      Uid:*)
        uid=${line#Uid:?}
        uid=${uid%%[!0-9]*}
        break ;;
    esac
  done 2>/dev/null <"/proc/$1/status"
  [ -n "$uid" ] || return
  name_user
  while IFS= read -r line; do
    case $line in 0::/* | *:name=systemd:/*) unit_of "${line#*:*:/}" ;; esac
    [ -z "$unit" ] || break
  done 2>/dev/null <"/proc/$1/cgroup"
  return 0
}

name_user() { # uid -> user: its name; the number if it has none
  case $nl$named in
    *"$nl$uid:"*)
      user=${named#*"$nl$uid:"}
      user=${user%%"$nl"*}
      return ;;
  esac
  user=
  while IFS=: read -r account _ number _; do
    [ "$number" != "$uid" ] || { user=$account && break; }
  done 2>/dev/null </etc/passwd
  [ -n "$user" ] || ! have getent || {
    account=$(getent passwd "$uid" 2>/dev/null)
    user=${account%%:*}
  }
  case $user in '' | *[!A-Za-z0-9_.@+\\-]*) user=$uid ;; esac
  named=$named$uid:$user$nl
}

# Services of this machine only: what a user's own systemd, a session or a container started has another kind of unit above it.
unit_of() { # CGROUP without its first slash -> unit
  rest=$1
  while :; do
    part=${rest%%/*}
    case $part in *.slice) ;; *) break ;; esac
    case $rest in */*) rest=${rest#*/} ;; *) return 0 ;; esac
  done
  case $part in
    user@*.service | *[!A-Za-z0-9:_.@\\-]*) ;;
    ?*.service) [ ${#part} -gt 255 ] || unit=$part ;;
  esac
}

find_by_lsof() { # on macOS and the BSDs: mapped files are txt or mem
  found=$(lsof -nPw -F pcLn -d txt,mem 2>/dev/null | LC_ALL=C sed -n -e '/^[pcL]/p' -e 's|^n\(/.*/cpython-[^/]*\)/.*$|n\1|p')
  case $found in *p[0-9]*) ;; *) return 1 ;; esac
  sight=all
  # Others' files are not listed. Letters that aren't ASCII are escaped in the list.
  [ "$(id -u)" = 0 ] || sight=some
  case $root in *[!\ -~]*) sight=some ;; esac
  pid=
  IFS=$nl
  set -f
  for line in $found; do
    unset IFS
    case $line in
      p*)
        pid=${line#p}
        program=
        login= ;;
      c*) program=${line#c} ;;
      L*) login=${line#L} ;;
      n*) rest=${line#n} && add_listed ;;
    esac
  done
  unset IFS
  set +f
}

add_listed() {
  case $pid in '' | *[!0-9]*) return 0 ;; esac
  name=${rest##*/}
  folder=${rest%/*}
  state=here
  case $folder in */.standalone-python.staging*) folder=${folder%/.standalone-python.staging*} state=replaced ;; esac
  [ "$folder" -ef "$root" ] || return 0
  [ -d "$root/$name" ] || state=replaced
  add_process "$pid" "$name" $state "${login:-?}" "$program"
}

find_by_fuser() {
  sight=all
  [ "$(id -u)" = 0 ] || sight=some
  for p in "$root"/cpython-*; do
    [ ! -h "$p" ] || continue
    for file in "$p"/bin/python3.* "$p"/lib/libpython3*; do
      [ -f "$file" ] && [ ! -h "$file" ] || continue
      for pid in $(fuser "$file" 2>/dev/null); do
        pid=${pid%%[!0-9]*}
        [ -n "$pid" ] || continue
        program=$(ps -o user= -o comm= -p "$pid" 2>/dev/null)
        login=${program%%[ "$nl"]*}
        program=${program##*[ /]}
        [ -z "$program" ] || add_process "$pid" "${p##*/}" here "$login" "$program"
      done
    done
  done
}

is_used() { # NAME
  find_processes
  case $used in *"$nl$1$nl"*) ;; *) return 1 ;; esac
}

remove_unused() { # NAME: removes the build; fails if a process runs from it
  step="looking for processes that run from $1"
  if ! is_used "$1"; then remove "$1"; else
    held=$held$root/$1$nl
    return 1
  fi
}

tell_processes() {
  find_processes
  put "processes=$sight"
  IFS=$nl
  set -f
  for line in $using; do put "process=$line"; done
  unset IFS
  set +f
  [ -z "$held" ] || say held "${held%"$nl"}"
}
