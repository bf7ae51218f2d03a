# lock.sh: who holds a root's lock, and whether that process still runs. Sent with unusual.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

lock_holder() { # LOCK -> its text; empty if there is no link with the text of a lock
  [ -h "$1" ] || return 0
  text=$(leads_to "$1" 2>/dev/null)
  ! lock_text "$text" || printf '%s' "$text"
}

# The number becomes a path in /proc. No range of letters: what is in one depends on the caller's language.
lock_text() { # TEXT: is it pid:started:boot:host?
  case $1 in *"$nl"*) return 1 ;; *:*:*:?*) ;; *) return 1 ;; esac
  lock_pid=${1%%:*}
  rest=${1#*:}
  lock_start=${rest%%:*}
  case $lock_pid in '' | 0* | *[!0123456789]*) return 1 ;; esac
  case $lock_start in *[!0123456789]*) return 1 ;; esac
  [ ${#lock_pid} -le 10 ] && [ ${#lock_start} -le 20 ]
}

process() { # PID -> its state, and when it started in the kernel's ticks; nothing if the kernel doesn't say or it is gone
  [ -r "/proc/$1/stat" ] || return 0
  stat=
  # The program's name may have anything in it, also brackets and line ends.
  while IFS= read -r line || [ -n "$line" ]; do stat=$stat$line; done 2>/dev/null <"/proc/$1/stat"
  # shellcheck disable=SC2086 # split into words on purpose: the fields from the third on
  set -- ${stat##*") "}
  [ $# -lt 20 ] || printf '%s' "$1 ${20}"
}

boot() { # -> what tells this start of the machine from the one before, and after a dot whose process numbers are meant
  if [ -r /proc/sys/kernel/random/boot_id ]; then
    IFS= read -r id </proc/sys/kernel/random/boot_id
    numbers=$(leads_to /proc/self/ns/pid 2>/dev/null)
    numbers=${numbers##*"["}
    numbers=${numbers%"]"}
    printf '%s' "$id.$numbers"
  fi
}

machine_id() { # -> a part of it that tells machines apart, and that is too little to be the id, which is for this machine only
  for f in /etc/machine-id /var/lib/dbus/machine-id; do
    [ -r "$f" ] || continue
    IFS= read -r id <"$f"
    case $id in
      *[!0123456789abcdef]*) ;;
      ????????????*) printf '%s' "${id%"${id#????????????}"}" && return ;;
    esac
  done
}

lock_state() { # TEXT (pid:started:boot:host, and :machine where that is known) -> alive, dead or elsewhere
  lock_text "$1" || return
  rest=${rest#*:}
  lock_boot=${rest%%:*}
  lock_host=${rest#*:}
  lock_machine=
  case $lock_host in *:*) lock_machine=${lock_host#*:} ;; esac
  lock_host=${lock_host%%:*}
  boot=$(boot)
  # One boot id is one machine, whatever it is called. Without one (there is no /proc) the name has to do.
  if [ "$lock_boot" = "$boot" ] && { [ -n "$boot" ] || [ "$lock_host" = "$(uname -n)" ]; }; then
    if running "$lock_pid" "$lock_start"; then echo alive; else echo dead; fi
  # A container of this machine, or one that knows no boot id.
  elif [ "${lock_boot%%.*}" = "${boot%%.*}" ] || [ -z "$boot" ] || [ -z "$lock_boot" ]; then echo elsewhere
  elif before_restart; then echo dead
  else echo elsewhere
  fi
}

# Two machines can have one name (localhost), and copies of one disk have one machine id. On a disk of its own each tells that the
# lock is this machine's; on a disk that machines share, only both do.
before_restart() { # is a lock with another boot id one of this machine, from before it was restarted?
  same=
  [ "$lock_host" != "$(uname -n)" ] || same=name
  [ -z "$lock_machine" ] || [ "$lock_machine" != "$(machine_id)" ] || same=${same}id
  case $same in
    nameid) return 0 ;;
    ?*) own_disk ;;
    *) return 1 ;;
  esac
}

own_disk() { # is the root on a file system that is known to be this machine's alone?
  at=$(cd "$root" 2>/dev/null && pwd -P) && [ -r /proc/mounts ] || return 1
  mounted=
  kind=
  while read -r _ point type _; do
    # A space in it is written as \040.
    case $point in *\\*) point=$(printf '%b' "$point") ;; esac
    case $at/ in
      "${point%/}/"*) [ ${#point} -lt ${#mounted} ] || { mounted=$point kind=$type; } ;;
    esac
  done </proc/mounts
  case $kind in
    ext[234] | xfs | btrfs | zfs | f2fs | bcachefs | jfs | reiserfs | nilfs2 | ubifs | rootfs | tmpfs | ramfs | overlay | aufs) ;;
    vfat | exfat | ntfs3 | fuseblk | fuse.fuse-overlayfs) ;;
    *) return 1 ;;
  esac
}

# A process that has ended and that nobody has asked about (a zombie, state Z or X) is there for ever in a container without an init.
running() { # PID STARTED
  found=$(process "$1")
  case $found in
    [ZXx]\ *) return 1 ;;
    ?*)
      # Without its start (from where there was no /proc) the number has to do.
      [ -z "$2" ] || [ "$2" = "${found#* }" ]
      return ;;
  esac
  [ ! -d "/proc/$1" ] || return 0
  # It may be another user's, whom this one may not send a signal.
  case $(LC_ALL=C && export LC_ALL && kill -0 "$1" 2>&1) in
    '' | *ermitted* | *ermission*) ;;
    *) return 1 ;;
  esac
  # shellcheck disable=SC2046 # a word or none, perhaps with spaces around it
  set -- $(ps -o stat= -p "$1" 2>/dev/null)
  case ${1-} in Z*) return 1 ;; esac
}

locks() {
  p=$root/.standalone-python.lock
  holder=$(lock_holder "$p")
  if [ -n "$holder" ]; then
    say lock "$holder"
    echo "lock_state=$(lock_state "$holder")"
  elif there "$p"; then say obstacle "$p"
  fi
  # The name that it had before. uv has a file of that name.
  p=$root/.lock
  holder=$(lock_holder "$p")
  [ -n "$holder" ] || return 0
  old_state=$(lock_state "$holder")
  if [ "$old_state" = dead ]; then say leftover "$p"
  else
    say lock "$holder"
    echo "lock_state=$old_state"
  fi
}
