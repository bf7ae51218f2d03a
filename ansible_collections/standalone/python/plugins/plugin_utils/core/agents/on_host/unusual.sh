# unusual.sh: what observe.sh needs beyond a quick look: leftovers of runs, builds that others could have changed, missing
# folders.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these
# shellcheck disable=SC3066,SC3067 # see observe.sh

unusual() { :; }

# What programs print comes in between.
flush() { :; }

# mksh has no builtin printf, and would start a program for each line.
case ${KSH_VERSION-} in
  *MIRBSD*) put() { print -r -- "$1"; } ;;
  *) put() { printf '%s\n' "$1"; } ;;
esac

# script.sh looks for lines of receipts.
put_receipt() { put "receipt=$line"; }

# On image-based systems a folder may be a link, such as /opt -> var/opt, whose target is created at the first start. That target
# has to be created: mkdir -p fails, as the link exists.
to_make() { # PATH -> way: PATH behind links that lead to nothing; near: its nearest existing folder; first: the same of PATH
  way=$1
  first=
  hops=0
  while :; do
    nearest "$way"
    [ -n "$first" ] || first=${near:-/}
    # Linux follows 40 links in one path.
    if [ -e "${near:-/}" ] || [ $hops -ge 40 ]; then break; fi
    hops=$((hops + 1))
    behind=$(link_target "$near")
    case $behind in
      '') break ;;
      /*) way=$behind${way#"$near"} ;;
      *) way=${near%/*}/$behind${way#"$near"} ;;
    esac
  done
  near=${near:-/}
}

existing() { # PATH -> itself or the nearest existing folder above it, behind links that lead to nothing
  to_make "$1"
  printf '%s' "$near"
}

state_of_missing() { # KEY PATH: as folder_state, where a file or a link is on the way
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

# Like the finisher: import the modules whose extension the build has, and check that it runs from its own folder.
trial='import os, sys, importlib.util as u
[__import__(m) for m, e in (w.split(":") for w in "'"$modules"'".split()) if u.find_spec(e)]
sys.exit(os.path.realpath(sys.prefix) != os.path.realpath(sys.argv[1]) and "it runs from " + sys.prefix)'

check_files() { # BUILD-FOLDER: checks all that its interpreter may import
  my_group=0
  [ -O / ] || my_group=$(id -g)
  found=$(find "$1" ! -type l \( ! -user 0 ! -user "${my_uid:=$(id -u)}" ! -user "${top:-0}" -o -perm -002 -o \
    -perm -020 ! -group 0 ! -group "$my_group" \) 2>&1)
  [ -z "$found" ] || {
    check "${found%%"$nl"*}"
    open=${open:-unknown - $1}
  }
}

start_unusual() { # BUILD-FOLDER -> code, says: of a build that was installed into an image, or that others could have changed
  [ -z "$unconfirmed" ] || {
    [ -n "$open" ] || check_files "$1"
    only=
  }
  if [ -z "$open" ]; then
    start "$1"
    # The finisher could not try it in the image.
    [ "$code$unconfirmed" != 0yes ] || first=$(for_builds; "$1/bin/python3" -I -B -c "$trial" "$1" 2>&1) || {
      code=1
      says=${first##*"$nl"}
    }
  elif ! start_as_owner "$1"; then
    code=untrusted
    says=$open
  fi
}

start_as_owner() { # BUILD-FOLDER -> says: root starts it as the only user who could have changed it
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
    # Without root's environment, folder and terminal.
    says=$(cd / && $session env -i "PATH=$PATH" $tool "$@" "$interpreter" </dev/null 2>&1)
    code=$?
    case $nl$says in *"${nl}started$nl"*) says=${says#*"started$nl"} && return ;; esac
  done
  return 1
}

leftovers() { # prints what killed runs left, and what else has one of these names
  p=$root/.standalone-python.staging
  if [ -d "$p" ] && [ ! -h "$p" ]; then say leftover "$p"
  elif exists "$p"; then say obstacle "$p"
  fi
  for p in "$root/.standalone-python-link" "$bin_dir/.standalone-python-link"; do
    if [ -h "$p" ]; then say leftover "$p"
    elif exists "$p"; then say obstacle "$p"
    fi
  done
  for p in "$root"/.standalone-python.lock-broken-*; do
    if exists "$p"; then say leftover "$p"; fi
  done
  for p in "$root"/.standalone-python.staging.*; do
    if exists "$p"; then say leftover "$p"; [ -z "$tried" ] || say held "$p"; fi
  done
  for p in "$root"/.staging "$root"/.staging.[0123456789]*; do
    if is_staging "$p"; then say leftover "$p"; [ -z "$tried" ] || say held "$p"; fi
  done
  for p in "$root"/.lock-broken-[0123456789]*; do
    if is_claim "$p"; then say leftover "$p"; fi
  done
}

# Older versions used names that other programs use too, so only the exact form of ours is cleared.
is_staging() { # PATH: is it a staging folder of standalone-python?
  [ -d "$1" ] && [ ! -h "$1" ] || return 1
  of_ours=
  for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    case ${f##*/} in
      finish.py | paths.py | macho.py | bytecode.py) ;;
      cpython-*)
        [ -d "$f" ] && [ ! -h "$f" ] || return 1
        of_ours=yes ;;
      *) ! exists "$f" || return 1 ;;
    esac
  done
  [ -n "$of_ours" ]
}

is_claim() { # PATH: is it an empty folder?
  [ -d "$1" ] && [ ! -h "$1" ] || return 1
  for f in "$1"/* "$1"/.[!.]* "$1"/..?*; do
    ! exists "$f" || return 1
  done
}
