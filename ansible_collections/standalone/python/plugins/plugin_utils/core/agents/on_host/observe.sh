# observe.sh: what a host has, printed as key=value lines between two sentinels. It only reads.
#
# Set before it: root, bin_dir (absolute, or starting with ~/), verify (quick|full), and facts: whether to say what kind of host it
# is: yes, no, or empty for only where no build of ours is there. Also python: empty, or this machine's own interpreter where root is
# in the image of another machine, of which nothing may be started.
# POSIX sh (dash, busybox ash, mksh, bash 3.2) and whatever ls, df, uname are there. On the path that finds everything in order
# it starts two programs: ls for the links and for who could have changed what is started, and each interpreter once for its
# version.
# shellcheck shell=sh disable=SC2154 # the renderer sets what is used here
# shellcheck disable=SC3066,SC3067 # those shells' own test has -O and -G

# What a caller's own shell or ls may have been told, and exported.
set +efuC
unset CLICOLOR CLICOLOR_FORCE LD_DEBUG LD_SHOW_AUXV

nl='
'
tried= # by apply.sh: to remove what was left
cleared= # by apply.sh: something that was left
outdated= # by apply.sh: the plan was made for a host that had something else
judged=$nl
sound=$nl
my_uid=
top=

# mksh has no printf of its own, and would start a program for every line.
case ${KSH_VERSION-} in
  *MIRBSD*) put() { print -r -- "$1"; } ;;
  *) put() { printf '%s\n' "$1"; } ;;
esac

have() { command -v "$1" >/dev/null 2>&1; }

say() { # KEY TEXT: a line of KEY for every line of TEXT
  say_rest=$2
  while :; do
    put "$1=${say_rest%%"$nl"*}"
    case $say_rest in
      *"$nl"*) say_rest=${say_rest#*"$nl"} ;;
      *) return 0 ;;
    esac
  done
}

# ~ is the home of who runs this; without HOME (a bare chroot, cron) it is what the system's accounts say.
at_home() { # PATH -> absolute, if it begins with ~ and this user has a home
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

there() { [ -e "$1" ] || [ -h "$1" ]; } # PATH: anything, a link that leads nowhere included

nearest() { # PATH -> near: itself or what is there above it; empty for the top
  near=$1
  while [ -n "$near" ] && ! there "$near"; do
    case $near in */*) near=${near%/*} ;; *) near= ;; esac
  done
}

place() { # KEY PATH: can things be made there?
  if [ -d "$2" ]; then
    if [ ! -r "$2" ] || [ ! -x "$2" ]; then echo "$1_state=unreadable"
    elif [ -w "$2" ]; then echo "$1_state=writable"; else echo "$1_state=unwritable"; fi
    return
  fi
  nearest "$2"
  if [ ! -d "${near:-/}" ]; then
    unusual
    place_to_make "$@"
  elif [ -w "${near:-/}" ]; then echo "$1_state=absent"; else echo "$1_state=unwritable"
  fi
}

entries() { # what a pattern matched: how many that is, in entries; a pattern that matched nothing is its own only word
  entries=$#
  [ $# -gt 1 ] || [ -e "$1" ] || entries=0
}

# The caller's libraries and settings belong to its own programs: with them a sound build could fail to start. Call it in a subshell.
for_builds() {
  [ -z "$python" ] || return 0
  unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT LD_BIND_NOW GLIBC_TUNABLES OPENSSL_CONF OPENSSL_MODULES OPENSSL_ENGINES
  unset DYLD_LIBRARY_PATH DYLD_FRAMEWORK_PATH DYLD_FALLBACK_LIBRARY_PATH DYLD_FALLBACK_FRAMEWORK_PATH DYLD_INSERT_LIBRARIES
}

# Who else can change what this run starts or writes to? Root and the runner itself are trusted, as is the owner of /, who could
# change this very shell (in a user namespace root has another number). A group is trusted if it is root's or, unless the runner
# is root, the runner's own. In a sticky folder others can add entries, but not replace them.

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

examine() { # BUILD-FOLDER: receipt, start, standard library
  case $facts in empty) facts=no ;; esac
  put "build=${1##*/}"
  case ${1##*/} in *-x86_64_v[234]-*) leveled=yes ;; esac
  unconfirmed=
  users_install=
  bundled=
  if [ -f "$1/.standalone-python/receipt.json" ] && [ -r "$1/.standalone-python/receipt.json" ]; then
    while IFS= read -r line || [ -n "$line" ]; do
      put "receipt=$line"
      case $line in
        ' "started": false'*) unconfirmed=yes ;;
        ' "externally_managed": false'*) users_install=yes ;;
        ' "bundled": "'*) bundled=${line#*: \"} ;;
        ' "prefix": "'*)
          # Where it was installed. The same folder may be reached by another path.
          was=${line#' "prefix": "'}
          was=${was%'"'*}
          [ "$was" = "$1" ] || [ -n "$python" ] || ! [ "$was" -ef "$1" ] || echo same=yes ;;
      esac
    done <"$1/.standalone-python/receipt.json"
  fi
  # Not -x: where programs may not be started from this disk, the attempt says so.
  if [ -f "$1/bin/python3" ]; then
    if [ -n "$python" ]; then echo start=untried
    else
      weigh_build "$1"
      [ -z "$unconfirmed$open" ] || unusual
      [ -z "$unconfirmed" ] || {
        [ -n "$open" ] || weigh_all "$1"
        only=
      }
      if [ -z "$open" ]; then
        # -I, or what the caller has for other Pythons in its environment could keep this one from starting.
        says=$(for_builds; exec "$1/bin/python3" -I -V 2>&1)
        code=$?
        # It was installed from outside: what the finisher tries elsewhere is tried now.
        [ "$code$unconfirmed" != 0yes ] || first=$(for_builds; "$1/bin/python3" -I -B -c "$trial" "$1" 2>&1) || {
          code=1
          says=${first##*"$nl"}
        }
      elif ! start_as_owner "$1"; then
        code=untrusted
        says=$open
      fi
      echo "start=$code"
      say says "$says"
    fi
  fi
  [ "$verify" != full ] || compare "$1"
  # Two folders are listed and no file is looked at: that much costs nothing, and a standard library that lost a part shows.
  entries "$1"/lib/python3.*/*
  count=$entries
  entries "$1"/lib/python3.*/lib-dynload/*
  count=$((count + entries))
  for p in "$1"/lib/python3.*/__pycache__; do
    [ ! -d "$p" ] || count=$((count - 1))
  done
  echo "modules=$count"
  [ -z "$users_install" ] || user_packages "$1"
}

user_packages() { # BUILD-FOLDER: how many packages are there that didn't come with the build
  bundled=" ${bundled%\"*} "
  count=0
  for p in "$1"/lib/python3.*/site-packages/*.dist-info "$1"/lib/python3.*/site-packages/*.egg-info; do
    case $bundled in *" ${p##*/} "*) ;; *) [ ! -e "$p" ] || count=$((count + 1)) ;; esac
  done
  echo "packages=$count"
}

cpu_flags() { # KEY: what Linux says that the CPU can do; other systems have no such file
  while IFS= read -r line; do
    case $line in
      flags*:*) echo "$1=${line#*: }" && break ;;
    esac
  done </proc/cpuinfo 2>/dev/null
}

leads_to() { # LINK -> where it leads
  if have readlink; then readlink "$1"
  else
    listed=$(QUOTING_STYLE=literal LC_ALL=C ls -ldn "$1") && printf '%s' "${listed#*"$1 -> "}"
  fi
}

links() { # LINK...: what list says of them, if it doesn't hide letters that aren't ASCII, as busybox' does
  [ $# -gt 0 ] || return 0
  case $listed in
    *'?'*) ! have readlink || {
      for p; do
        line=$(printf 'link %s -> ' "$p" && readlink "$p")
        put "ls=${line%%"$nl"*}"
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

look() { # LINK...: all that has to be known of the disk at once: links, and who can change what is to be started and written to
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
  climb "$root"
  root_way=$climbed
  climb "$bin_dir"
  judge_all "$root_way$nl$climbed" "$@"
  weigh_way "$climbed"
  bin_dir_open=$open
  weigh_way "$root_way"
  root_open=$open
  root_only=$only
  [ -z "$root_open" ] || say root_exposed "$root_open"
  [ -z "$bin_dir_open" ] || say bin_dir_exposed "$bin_dir_open"
}

# shellcheck disable=SC2329 # the quick look has no other
unusual() { # a quick look ends here: the controller looks again, with all that comes below
  put '== standalone-python observation unfinished =='
  exit
}

observe() {
  echo '== standalone-python observation 1 =='
  case $root$bin_dir in *'~'*) root=$(at_home "$root") bin_dir=$(at_home "$bin_dir") ;; esac
  say root "$root"
  say bin_dir "$bin_dir"
  place root "$root"
  place bin_dir "$bin_dir"
  leveled=
  [ -z "$outdated" ] || echo outdated=yes
  [ -z "$cleared" ] || echo cleared=yes
  # What is neither a build nor a link of one. Others have a file .lock too, but no link of that name.
  for p in "$root"/.standalone-python* "$root"/.staging* "$root"/.lock-broken-* "$bin_dir/.standalone-python-link" "$root/.lock"; do
    case $p in */.lock) [ -h "$p" ] ;; *) there "$p" ;; esac || continue
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
    elif [ -d "$p" ]; then printf 'occupied=%s/\n' "$p"
    elif [ -e "$p" ]; then printf 'occupied=%s\n' "$p"
    fi
  done
  for p in "$bin_dir"/python*; do
    case $p in *"$nl"*) continue ;; esac
    if [ -h "$p" ]; then set -- "$@" "$p"
    elif [ -d "$p" ]; then printf 'occupied=%s/\n' "$p"
    elif [ -e "$p" ]; then printf 'occupied=%s\n' "$p"
    fi
  done
  look "$@"
  for p in "$root"/cpython-*; do
    case $p in *"$nl"*) continue ;; esac
    [ -h "$p" ] || [ ! -d "$p/.standalone-python" ] || examine "$p"
  done
  links "$@"
  if [ "$facts" != no ]; then host_facts
  elif [ -n "$leveled" ] && [ -z "$python" ]; then cpu_flags cpu
  fi
  echo '== standalone-python observation end =='
}

# Below: what a quick look is sent without, as some shells read a script from a pipe one letter at a time: locks, what runs left, what
# others could have changed, and what isn't there yet.
#%% unusual

unusual() { :; }

# Image-based systems have links on the way, such as /opt -> var/opt, whose targets come with the first start. What such a link names
# is what has to be made: mkdir -p alone says that the link exists.
to_make() { # PATH -> way: where PATH lies, behind links that lead to nothing yet; near: the last of it that is there; first: of PATH
  way=$1
  first=
  hops=0
  while :; do
    nearest "$way"
    [ -n "$first" ] || first=${near:-/}
    # As many links as Linux follows in one path.
    if [ -e "${near:-/}" ] || [ $hops -ge 40 ]; then break; fi
    hops=$((hops + 1))
    behind=$(leads_to "$near")
    case $behind in
      '') break ;;
      /*) way=$behind${way#"$near"} ;;
      *) way=${near%/*}/$behind${way#"$near"} ;;
    esac
  done
  near=${near:-/}
}

existing() { # PATH -> itself or the nearest folder above it that exists, above the place that links name where they lead to nothing
  to_make "$1"
  printf '%s' "$near"
}

place_to_make() { # KEY PATH: the same where something else than a folder is on the way
  to_make "$2"
  if [ -d "$near" ]; then
    if [ -w "$near" ]; then echo "$1_state=absent"; else echo "$1_state=unwritable"; fi
  elif [ "$first" = "$2" ]; then
    echo "$1_state=notfolder"
  else
    echo "$1_state=unwritable"
    say "$1_obstacle" "$first"
  fi
}

# The modules that the finisher tries, as far as the build has the extension that each stands on, and where it runs from.
trial='import os, sys, importlib.util as u
[__import__(m) for m in ("ctypes", "hashlib", "lzma", "sqlite3", "ssl", "zlib") if u.find_spec({"hashlib": "_hashlib", "zlib": "zlib"}.get(m, "_" + m))]
sys.exit(os.path.realpath(sys.prefix) != os.path.realpath(sys.argv[1]) and "it runs from " + sys.prefix)'

weigh_all() { # BUILD-FOLDER: what its interpreter may import as well
  my_group=0
  [ -O / ] || my_group=$(id -g)
  found=$(find "$1" ! -type l \( ! -user 0 ! -user "${my_uid:=$(id -u)}" ! -user "${top:-0}" -o -perm -002 -o \
    -perm -020 ! -group 0 ! -group "$my_group" \) 2>&1)
  [ -z "$found" ] || {
    weigh "${found%%"$nl"*}"
    open=${open:-unknown - $1}
  }
}

start_as_owner() { # BUILD-FOLDER: as the only one who could have changed it, if this is root; what it says is in $says
  case $only in '' | -) return 1 ;; esac
  [ -O / ] && { have setsid || ! (: </dev/tty) 2>/dev/null; } || return
  # shellcheck disable=SC2046 # split into words on purpose
  account=$(set -f && set -- $(LC_ALL=C ls -ld "${open#owner * }") && printf '%s' "$3")
  case $account in '' | -* | *[!A-Za-z0-9_.@-]*) return 1 ;; esac
  own_group=$(id -g "$account" 2>/dev/null) && groups=--init-groups || own_group=65534 groups=--clear-groups
  session=
  ! have setsid || session=setsid
  interpreter=$1/bin/python3
  # shellcheck disable=SC2016 # for that user's shell
  alone='[ -x "$0" ] && echo started && exec "$0" -I -V'
  for tool in setpriv su; do
    have $tool || continue
    set -- "--reuid=$only" "--regid=$own_group" "$groups" --no-new-privs /bin/sh -c "$alone"
    [ $tool = setpriv ] || set -- -s /bin/sh -c "$alone" "$account"
    # Nothing of root's environment, folder or terminal.
    says=$(cd / && $session env -i "PATH=$PATH" $tool "$@" "$interpreter" </dev/null 2>&1)
    code=$?
    case $nl$says in *"${nl}started$nl"*) says=${says#*"started$nl"} && return ;; esac
  done
  return 1
}

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

leftovers() { # what a killed run left, and what else has one of our names
  p=$root/.standalone-python.staging
  if [ -d "$p" ] && [ ! -h "$p" ]; then say leftover "$p"
  elif there "$p"; then say obstacle "$p"
  fi
  for p in "$root/.standalone-python-link" "$bin_dir/.standalone-python-link"; do
    if [ -h "$p" ]; then say leftover "$p"
    elif there "$p"; then say obstacle "$p"
    fi
  done
  for p in "$root"/.standalone-python.lock-broken-*; do
    if there "$p"; then say leftover "$p"; fi
  done
  for p in "$root"/.standalone-python.staging.*; do
    if there "$p"; then say leftover "$p"; [ -z "$tried" ] || say held "$p"; fi
  done
  for p in "$root"/.staging "$root"/.staging.[0123456789]*; do
    if is_staging "$p"; then say leftover "$p"; [ -z "$tried" ] || say held "$p"; fi
  done
  for p in "$root"/.lock-broken-[0123456789]*; do
    if is_claim "$p"; then say leftover "$p"; fi
  done
}

# Before, the names of a run's own things were names that others use too: only what has the exact form of ours is cleared.
is_staging() { # PATH: is it a staging folder of a run of ours?
  [ -d "$1" ] && [ ! -h "$1" ] || return 1
  of_ours=
  for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    case ${f##*/} in
      finish.py | paths.py | macho.py | bytecode.py) ;;
      cpython-*)
        [ -d "$f" ] && [ ! -h "$f" ] || return 1
        of_ours=yes ;;
      *) ! there "$f" || return 1 ;;
    esac
  done
  [ -n "$of_ours" ]
}

is_claim() { # PATH: is it an empty folder?
  [ -d "$1" ] && [ ! -h "$1" ] || return 1
  for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    ! there "$f" || return 1
  done
}

# Below: what verify=full, facts=yes and apply.sh need; a quick look is sent without it, as some shells read a script from a
# pipe one letter at a time.
#%% more

sha256() { # sha256 [-c LIST | FILE]: in sha256sum's format, with whatever computes it here
  if have sha256sum; then sha256sum "$@"
  elif have shasum; then shasum -a 256 "$@"
  elif [ "$1" = -c ]; then return 127
  elif have openssl; then openssl dgst -sha256 -r "$@"
  else return 127
  fi
}

free_kb() { # FOLDER -> kilobytes free there; empty where that can't be told
  df -Pk "$1" 2>/dev/null | {
    read -r _
    IFS= read -r line || return 0
    # A device's name may have spaces: what is wanted stands before the only column with a percent sign and a path.
    set -f
    # shellcheck disable=SC2086 # split into words on purpose
    set -- ${line%%"% "*}
    [ $# -lt 3 ] || shift $(($# - 2))
    case $1 in *[!0-9]*) ;; *) printf '%s' "$1" ;; esac
  }
}

free_inodes() { # FOLDER -> how many files can still be made there; empty where that can't be told, or there is no limit
  LC_ALL=C df -Pi "$1" 2>/dev/null | {
    read -r head
    IFS= read -r line || return 0
    case $head in
      *ifree*) line=${line#*"% "} ;; # BSD: behind the blocks, which have a percent sign of their own
      *[Ii]nodes*) ;;
      *) return 0 ;;
    esac
    set -f
    # shellcheck disable=SC2086 # split into words on purpose
    case $line in *"% "*) set -- ${line%%"% "*} ;; *) return 0 ;; esac
    [ $# -lt 3 ] || shift $(($# - 3))
    # Used, free, percent. Where none is in use, the file system counts none.
    case $1$2 in 0* | *[!0-9]*) ;; *) printf '%s' "$2" ;; esac
  }
}

compare() ( # BUILD-FOLDER: every file against the list, and what the standard library has beyond it
  cd "$1" || return
  list=.standalone-python/files.sha256
  if [ ! -r $list ]; then
    echo "damaged=$list"
    return
  fi
  have sha256sum || have shasum || { echo verify=unable; return; }
  if ! found=$(LC_ALL=C sha256 -c $list 2>/dev/null); then
    damaged=$(printf '%s\n' "$found" | LC_ALL=C sed -n 's/^\(.*\): FAILED.*$/damaged=\1/p')
    put "${damaged:-damaged=$list}"
  fi
  find lib -name __pycache__ -prune -o -name site-packages -prune -o -type f -name '*.py' -print 2>/dev/null |
    LC_ALL=C awk 'FNR == NR { known[substr($0, 67)] = 1; next } !($0 in known) { print "extra=" $0 }' $list -
  printf 'list=%s\n' "$(sha256 $list)"
)

# Below: what kind of host it is. The renderer leaves it out where facts=no.
#%% facts

glibc_version() { # FILE-OF-LIBC -> 2.36
  case ${1##*/} in
    libc-2.*.so) v=${1##*/libc-} && printf '%s' "${v%.so}" && return ;;
  esac
  v=$(getconf GNU_LIBC_VERSION 2>/dev/null) && [ -n "$v" ] && printf '%s' "${v#glibc }" && return
  for v in "$("$1" 2>/dev/null)" "$(ldd --version 2>/dev/null)"; do
    v=${v%%"$nl"*}
    case $v in
      *version\ 2.*) v=${v##*version } && printf '%s' "${v%%[!0-9.]*}" | LC_ALL=C sed 's/\.$//' && return ;;
      *\ 2.[0-9]*) printf '%s' "${v##* }" && return ;;
    esac
  done
}

linked_libc() { # what this very shell is linked to: the file of its C library or loader, from its memory map
  [ -r /proc/self/maps ] || return 0
  while read -r _ _ _ _ _ file; do
    case $file in
      */ld-musl-* | *musl*/libc.so | /lib/libc.so | /usr/lib/libc.so) printf '%s' "$file" && return ;;
      */libc.so.6 | */libc-2.*.so) printf '%s' "$file" && return ;;
    esac
  done </proc/self/maps
}

loaders() { # the loaders that are there, for a shell that is linked to none
  for f in /lib/ld-musl-*.so.1 /lib64/ld-linux-x86-64.so.2 /lib/ld-linux*.so.* /lib64/ld64.so.* /lib/ld64.so.* /lib64/ld-linux*.so.*; do
    [ -e "$f" ] && printf '%s ' "$f"
  done
}

machine() { # -> the architecture that this userland runs, which uname -m doesn't tell under a 32-bit one
  arch=$(uname -m)
  loader=$(loaders)
  case $arch in
    x86_64 | amd64)
      case " $loader" in
        *ld-linux-x86-64* | *ld-musl-x86_64*) ;;
        *ld-linux.so.2* | *ld-musl-i386*) arch=i686 ;;
      esac ;;
    aarch64 | arm64)
      case " $loader" in
        *ld-linux-aarch64* | *ld-musl-aarch64*) ;;
        *ld-linux-armhf* | *ld-linux.so.3* | *ld-musl-arm*) arch=armv7l ;;
      esac ;;
  esac
  printf '%s' "$arch"
}

linux_facts() {
  echo "arch=$(machine)"
  libc=$(linked_libc)
  loader=$(loaders)
  case $libc in
    */ld-musl-* | */libc.so) echo libc=musl ;;
    ?*) printf 'libc=glibc\nlibc_version=%s\n' "$(glibc_version "$libc")" ;;
    *)
      case " $loader" in
        *ld-linux* | *ld64.so*)
          for f in /lib/*/libc.so.6 /lib64/libc.so.6 /usr/lib/libc.so.6 /lib/libc.so.6; do
            [ -e "$f" ] && break
          done
          printf 'libc=glibc\nlibc_version=%s\n' "$(glibc_version "$f")" ;;
        *ld-musl*) echo libc=musl ;;
        *) echo libc= ;;
      esac ;;
  esac
  case " $loader" in
    *ld-linux-armhf* | *ld-musl-armhf*) echo float_abi=hard ;;
    *ld-linux.so.3* | *ld-musl-arm.so*) echo float_abi=soft ;;
  esac
  cpu_flags cpu_flags
}

darwin_facts() {
  arch=$(uname -m)
  # A shell under Rosetta is told x86_64 on an arm64 machine, which runs arm64 builds better.
  [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ] && arch=arm64
  echo "arch=$arch"
  if [ "$arch" = x86_64 ]; then
    echo "cpu_flags=$(sysctl -n machdep.cpu.features machdep.cpu.leaf7_features machdep.cpu.extfeatures 2>/dev/null | tr '\nA-Z' ' a-z')"
  fi
}

host_facts() {
  os=$(uname -s)
  echo "os=$os"
  case $os in
    Linux) linux_facts ;;
    Darwin) darwin_facts ;;
    *) echo "arch=$(uname -m)" ;;
  esac
  tools=
  for t in tar zstd gzip curl wget sha256sum shasum openssl awk; do have "$t" && tools="$tools $t"; done
  echo "tools=${tools# }"
  # A wget that is busybox's has no way to keep a token off its command line.
  have curl || case $(wget --version 2>&1) in *GNU\ Wget*) echo wget=gnu ;; esac
  free=$(free_kb "$(existing "$root")")
  [ -z "$free" ] || echo "free_kb=$free"
  free=$(free_inodes "$(existing "$root")")
  [ -z "$free" ] || echo "free_inodes=$free"
}
