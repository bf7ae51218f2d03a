# build.sh: a build is made in the staging folder: unpacked while its archive is hashed, then finished by its own interpreter.
# Sent with apply.sh where a plan installs or confirms builds.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

begin() { # NAME: an empty place for a build that is being made
  name=$1
  here=$staging/$name
  step="preparing $name"
  try io mkdir "$here"
  said=$({ true >"$here/err" && true >"$here/given" && { [ -e "$staging/finish.py" ] || finisher "$staging"; }; } 2>&1) || {
    fail_if_full "$said"
    fail io "$said"
  }
  # Before a whole build is unpacked for somebody who is not there.
  give "$here/given" "$owner"
}

space() { # KILOBYTES INODES: that much is free
  free=$(free_kb "$staging")
  enough "$free" "$1" || fail space "$1 $free"
  free=$(free_inodes "$staging")
  enough "$free" "$2" || fail inodes "$2 $free"
}

enough() { # FREE NEEDED
  # By length first: mksh counts with 32 bits, and there are disks with more kilobytes.
  [ -z "$1" ] || [ ${#1} -gt ${#2} ] || { [ ${#1} -eq ${#2} ] && [ "$1" -ge "$2" ]; }
}

unpack() { # FILE FORM(zst|gz) [MEMBER]: into the build's place; what went wrong is in its file err
  case $2 in
    zst) packer=zstd ;;
    *) packer=gzip ;;
  esac
  # By cd, as GNU tar takes a backslash in the folder that -C names for the begin of an escape. Its 10 KiB at a time from a pipe
  # cost a quarter of its time, against 64 KiB; other tars don't know the variable, and busybox' not the option.
  { "$packer" -dcq 2>>"$here/err" <"$1" || : >"$here/broken"; } |
    (cd "$here" && TAR_OPTIONS=-b128 tar -xof - ${3:+"$3"}) 2>>"$here/err" && [ ! -e "$here/broken" ]
}

# openssl uses what the processor has for it, which most sha256sum don't: a third of the time.
archive_sha256() { # FILE -> its sum, perhaps with more after it
  { have openssl && openssl dgst -sha256 -r "$1" 2>/dev/null; } || sha256 "$1" 2>/dev/null
}

# The archive is hashed while it is unpacked; nothing of it is run or kept before the sum agrees. The sum needs no file: the
# disk may be full.
unpack_checked() { # FILE SHA256 FORM [MEMBER]
  step="unpacking $name"
  have tar || fail notar
  [ "$3" != zst ] || have zstd || fail nozstd
  have sha256sum || have shasum || have openssl || fail nochecksum
  unpack "$1" "$3" "${4-}" &
  unpacker=$!
  found=$(archive_sha256 "$1")
  wait "$unpacker"
  unpacked=$?
  found=${found%% *}
  [ "${found#\\}" = "$2" ] || fail checksum "$2 ${found:-(unreadable)}"
  [ $unpacked = 0 ] || {
    said=$(cat "$here/err")
    fail_if_full "$said"
    fail unpack "$said"
  }
}

pushed() { # FILE SHA256 FORM KILOBYTES INODES: an archive that the controller sent, holding one tree, python/
  space "$4" "$5"
  unpack_checked "$1" "$2" "$3"
  to_disk_meanwhile "$1"
}

copied() { # SHA256: the build of this name that lies here, copied; its files are those of its list, which has that sum
  step="copying $name"
  said=$(cp -RPp "$root/$name" "$here/python" 2>&1) || fail io "$said"
  if found=$(cd "$here/python" && sha256 .standalone-python/files.sha256) && [ "${found%% *}" = "$1" ] &&
    (cd "$here/python" && LC_ALL=C sha256 -c .standalone-python/files.sha256) >/dev/null 2>&1
  then return; fi
  fail content "its files differ from what was installed, or nothing here can compare them"
}

# The finisher waits for the disk before it ends; what is written until then it needn't wait for. Where sync can't, it waits.
to_disk_meanwhile() { # ARCHIVE: is removed first, or it would be written as well
  { rm -f "$1" && sync -f "$here"; } >/dev/null 2>&1 &
}

# macOS marks what a browser has fetched, or a program that is itself marked, and asks a person before it starts such a thing. The
# checksum has answered that question. As a rule nothing is marked, and only one file is looked at.
unquarantine() {
  have xattr && [ "$(uname -s)" = Darwin ] || return 0
  xattr -p com.apple.quarantine "$here/python/bin/python3" >/dev/null 2>&1 || return 0
  xattr -dr com.apple.quarantine "$here/python" 2>/dev/null
}

finish() { # key=value...: the interpreter finishes its own installation, and shows that it starts
  step="finishing $name"
  # Not -x: where programs may not be started from this disk, the attempt says so.
  [ -f "$here/python/bin/python3" ] || fail content "there is no python/bin/python3 in it"
  unquarantine
  finisher_run "${python:-$here/python/bin/python3}" "tree=$here/python" "root=$root" "final=${inside:-$root}/$name" "name=$name" "$@"
}

try_first() { # NAME: a build that was installed from outside is started here for the first time; its receipt will say so
  step="starting $name"
  { trusted "$root/$1" && weigh_all "$root/$1" && [ -z "$open" ]; } || fail untrusted "${open:-unknown - $root/$1}"
  finisher_run "$root/$1/bin/python3" "confirm=$here/receipt.json" "tree=$root/$1" "modules=$modules"
}

finisher_run() { # PYTHON key=value...
  finisher_python=$1
  shift
  (for_builds; "$finisher_python" -I -B "$staging/finish.py" "$@") >"$here/out" 2>"$here/err"
  code=$?
  if [ $code -ne 0 ]; then
    reported=
    detail=
    while IFS= read -r line || [ -n "$line" ]; do
      case $line in
        failure=*) reported=${line#failure=} ;;
        detail=*) detail=${line#detail=} ;;
      esac
    done <"$here/out"
    [ -n "$reported" ] || {
      reported=start
      detail=$(cat "$here/err" "$here/out")
      fail_if_full "$detail"
    }
    [ "$reported" != space ] || fail_if_full "$detail"
    fail "$reported" "${detail:-it ended with exit code $code and said nothing}"
  fi
}
