# lock.sh: reads the lock of a root, and finds whether its holder still runs. Sent with unusual.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

lock_holder() { # LOCK -> its text; empty if it is not a lock
  [ -h "$1" ] || return 0
  text=$(link_target "$1" 2>/dev/null)
  ! lock_text "$text" || printf '%s' "$text"
}

# The process number becomes a path in /proc. Digits are listed, as a range depends on the locale.
lock_text() { # TEXT: is it pid:started:boot:host?
  case $1 in *"$nl"*) return 1 ;; *:*:*:?*) ;; *) return 1 ;; esac
  lock_pid=${1%%:*}
  rest=${1#*:}
  lock_start=${rest%%:*}
  case $lock_pid in '' | 0* | *[!0123456789]*) return 1 ;; esac
  case $lock_start in *[!0123456789]*) return 1 ;; esac
  [ ${#lock_pid} -le 10 ] && [ ${#lock_start} -le 20 ]
}

process() { # PID -> its state and start in kernel ticks; nothing if it is gone or unknown
  [ -r "/proc/$1/stat" ] || return 0
  stat=
  # The program's name may contain brackets and line ends.
  while IFS= read -r line || [ -n "$line" ]; do stat=$stat$line; done 2>/dev/null <"/proc/$1/stat"
  # shellcheck disable=SC2086 # split into words on purpose: the fields from the third on
  set -- ${stat##*") "}
  [ $# -lt 20 ] || printf '%s' "$1 ${20}"
}

boot() { # -> the boot id, a dot, and the namespace of process numbers
  if [ -r /proc/sys/kernel/random/boot_id ]; then
    IFS= read -r id </proc/sys/kernel/random/boot_id
    numbers=$(link_target /proc/self/ns/pid 2>/dev/null)
    numbers=${numbers##*"["}
    numbers=${numbers%"]"}
    printf '%s' "$id.$numbers"
  fi
}

machine_id() { # -> 12 letters of it: enough to tell machines apart; the whole id must not leave the machine
  for f in /etc/machine-id /var/lib/dbus/machine-id; do
    [ -r "$f" ] || continue
    IFS= read -r id <"$f"
    case $id in
      *[!0123456789abcdef]*) ;;
      ????????????*) printf '%s' "${id%"${id#????????????}"}" && return ;;
    esac
  done
}

lock_state() { # TEXT (pid:started:boot:host, and :machine if known) -> alive, dead or elsewhere
  lock_text "$1" || return
  rest=${rest#*:}
  lock_boot=${rest%%:*}
  lock_host=${rest#*:}
  lock_machine=
  case $lock_host in *:*) lock_machine=${lock_host#*:} ;; esac
  lock_host=${lock_host%%:*}
  boot=$(boot)
  # The same boot id is the same machine, whatever its name. Without /proc there is only the name.
  if [ "$lock_boot" = "$boot" ] && { [ -n "$boot" ] || [ "$lock_host" = "$(uname -n)" ]; }; then
    if running "$lock_pid" "$lock_start"; then echo alive; else echo dead; fi
  # A container on this machine, or a machine without a boot id.
  elif [ "${lock_boot%%.*}" = "${boot%%.*}" ] || [ -z "$boot" ] || [ -z "$lock_boot" ]; then echo elsewhere
  elif before_restart; then echo dead
  else echo elsewhere
  fi
}

# Two machines can have the same name (localhost), and copies of a disk have the same machine id. On a disk that only this machine
# uses, one of them is enough. On a shared disk both must match.
before_restart() { # is a lock with another boot id from this machine, before its restart?
  same=
  [ "$lock_host" != "$(uname -n)" ] || same=name
  [ -z "$lock_machine" ] || [ "$lock_machine" != "$(machine_id)" ] || same=${same}id
  case $same in
    nameid) return 0 ;;
    ?*) own_disk ;;
    *) return 1 ;;
  esac
}

own_disk() { # is the root on a file system that only this machine can use?
  at=$(cd "$root" 2>/dev/null && pwd -P) && [ -r /proc/mounts ] || return 1
  mounted=
  kind=
  while read -r _ point type _; do
    # The kernel writes a space as \040.
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

# A zombie (state Z or X) has ended. In a container without an init it stays for ever.
running() { # PID STARTED
  found=$(process "$1")
  case $found in
    [ZXx]\ *) return 1 ;;
    ?*)
      # A lock made without /proc has no start time.
      [ -z "$2" ] || [ "$2" = "${found#* }" ]
      return ;;
  esac
  [ ! -d "/proc/$1" ] || return 0
  # Another user's process runs, although this user may not signal it.
  case $(LC_ALL=C && export LC_ALL && kill -0 "$1" 2>&1) in
    '' | *ermitted* | *ermission*) ;;
    *) return 1 ;;
  esac
  # shellcheck disable=SC2046 # at most one word
  set -- $(ps -o stat= -p "$1" 2>/dev/null)
  case ${1-} in Z*) return 1 ;; esac
}

locks() {
  p=$root/.standalone-python.lock
  holder=$(lock_holder "$p")
  if [ -n "$holder" ]; then
    say lock "$holder"
    echo "lock_state=$(lock_state "$holder")"
  elif exists "$p"; then say obstacle "$p"
  fi
  # The lock of older versions. uv has a file of that name.
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
