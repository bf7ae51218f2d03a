# build.sh: prepares a build in the staging folder: verifies and unpacks its archive, and lets its interpreter finish it.
# Sent with apply.sh where a plan installs or confirms builds.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

certificates= # by certificates.sh: the host's file

start_build() { # NAME: creates the folder in which a build is prepared
  name=$1
  here=$staging/$name
  step="preparing $name"
  try io mkdir "$here"
  output=$({ true >"$here/err" && true >"$here/given" && { [ -e "$staging/finish.py" ] || finisher "$staging"; }; } 2>&1) || {
    fail_if_full "$output"
    fail io "$output"
  }
  # An unknown owner is an error before a whole build is unpacked.
  set_owner "$here/given" "$owner"
}

space() { # KILOBYTES INODES: fails unless that much is free
  free=$(free_kb "$staging")
  enough "$free" "$1" || fail space "$1 $free"
  free=$(free_inodes "$staging")
  enough "$free" "$2" || fail inodes "$2 $free"
}

enough() { # FREE NEEDED
  # mksh computes with 32 bits, so the lengths are compared first.
  [ -z "$1" ] || [ ${#1} -gt ${#2} ] || { [ ${#1} -eq ${#2} ] && [ "$1" -ge "$2" ]; }
}

unpack() { # FORM(zst|gz) [MEMBER]: what it reads into the build's folder; errors go to the file err there
  case $1 in
    zst) packer=zstd ;;
    *) packer=gzip ;;
  esac
  { "$packer" -dcq 2>>"$here/err" || : >"$here/broken"; } | extract ${2:+"$2"}
}

extract() { # [MEMBER]: the tar that it reads; fails too if the program that writes the tar has left the file broken
  # cd, as GNU tar takes a backslash in -C for an escape. -b128 makes it read 64 KiB at a time instead of 10, which saves a
  # quarter of its time. Other tars ignore the variable; busybox' tar lacks the option.
  (cd "$here" && TAR_OPTIONS=-b128 tar -xof - "$@") 2>>"$here/err" && [ ! -e "$here/broken" ]
}

# The second half of an archive is unpacked while the first one is. Each names the folders that it uses.
unpack_halves() { # FILE FORM SPLIT: SPLIT is the number of bytes of the first half
  tail -c "+$(($3 + 1))" "$1" 2>>"$here/err" | unpack "$2" &
  second=$!
  head -c "$3" "$1" 2>>"$here/err" | unpack "$2"
  first=$?
  wait "$second" && [ $first = 0 ]
}

can_unpack() { # FORM
  begin "unpacking $name"
  have tar || fail notar
  [ "$1" != zst ] || have zstd || fail nozstd
  have sha256sum || have shasum || have openssl || fail nochecksum
}

# openssl uses the CPU's SHA extensions: a third of sha256sum's time.
sum_of() { # FILE -> found: its SHA-256
  found=$({ have openssl && openssl dgst -sha256 -r "$1" 2>/dev/null; } || sha256 "$1" 2>/dev/null)
  found=${found%% *}
  found=${found#\\}
}

require_sum() { # SHA256: fails unless it is found
  [ "$found" = "$1" ] || fail checksum "$1 ${found:-(unreadable)}"
}

require_unpacked() { # STATUS: of unpack
  [ "$1" = 0 ] || {
    output=$(cat "$here/err")
    fail_if_full "$output"
    fail unpack "$output"
  }
}

# What the controller packed is hashed while it is unpacked, and nothing of it is run or kept unless the checksum agrees. The
# checksum needs no temporary file, as the disk may be full.
unpack_pushed() { # FILE SHA256 FORM KILOBYTES INODES [SPLIT]: an archive that the controller sent; it holds python/
  space "$4" "$5"
  can_unpack "$3"
  # Not every busybox knows head -c.
  if [ -n "${6-}" ] && head -c 1 "$1" >/dev/null 2>&1; then unpack_halves "$1" "$3" "$6" & else unpack "$3" <"$1" & fi
  unpacker=$!
  sum_of "$1"
  wait "$unpacker"
  unpacked=$?
  require_sum "$2"
  require_unpacked $unpacked
  to_disk_meanwhile "$1"
}

# The old build's interpreter writes the tar of the new build. It fails if the tar has another checksum, and so does all of this,
# before anything of the new build is started. The delta decides which files the tar has, so its checksum comes first.
rebuild() { # DELTA SHA256 BUILD TAR-SHA256 KILOBYTES INODES [FOREIGN]: BUILD is an installed one
  begin "rebuilding $name"
  space "$5" "$6"
  have tar || fail notar
  sum_of "$1"
  require_sum "$2"
  trusted "$root/$3" || fail untrusted "${open:-unknown - $root/$3}"
  # What a server calls a delta may make a tar that unpacks elsewhere. So nobody reads the tar the first time. This takes no disk.
  [ -z "${7-}" ] || write_tar "$1" "$3" "$4" >/dev/null || fail unpack "$(cat "$here/err")"
  { write_tar "$1" "$3" "$4" || : >"$here/broken"; } | extract || fail unpack "$(cat "$here/err")"
  to_disk_meanwhile "$1"
}

write_tar() { # DELTA BUILD TAR-SHA256: fails at the end if it was another tar
  (for_builds; exec "$root/$2/bin/python3" -I -B -S "$staging/delta.py" "$1" "$root/$2" "$3") 2>>"$here/err"
}

copy_installed() { # SHA256: copies the installed build of this name; the copy must match its list, which has that checksum
  begin "copying $name"
  output=$(cp -RPp "$root/$name" "$here/python" 2>&1) || fail io "$output"
  if found=$(cd "$here/python" && sha256 .standalone-python/files.sha256) && [ "${found%% *}" = "$1" ] &&
    (cd "$here/python" && LC_ALL=C sha256 -c .standalone-python/files.sha256) >/dev/null 2>&1
  then return; fi
  fail content "its files differ from what was installed, or nothing here can compare them"
}

# The finisher waits until all is on disk. The more is written before, the less it waits.
to_disk_meanwhile() { # ARCHIVE: removed first, or it would be written as well
  { rm -f "$1" && sync -f "$here"; } >/dev/null 2>&1 &
}

# macOS marks downloaded files, and asks a person before it starts one. The checksum is verified, so the mark is removed. Usually
# nothing is marked, and one file shows that.
unquarantine() {
  have xattr && [ "$(uname -s)" = Darwin ] || return 0
  xattr -p com.apple.quarantine "$here/python/bin/python3" >/dev/null 2>&1 || return 0
  xattr -dr com.apple.quarantine "$here/python" 2>/dev/null
}

finish_build() { # key=value...: starts the new interpreter, which finishes its own installation
  begin "finishing $name"
  # Not -x: on a disk mounted noexec, the attempt gives the reason.
  [ -f "$here/python/bin/python3" ] || fail content "it has no python/bin/python3"
  unquarantine
  finisher_run "${python:-$here/python/bin/python3}" "tree=$here/python" "root=$root" "final=${inside:-$root}/$name" "name=$name" \
    ${certificates:+"certificates_file=$certificates"} "$@"
}

try_build() { # NAME: starts a build for the first time that was installed into an offline image
  begin "starting $name"
  { trusted "$root/$1" && check_files "$root/$1" && [ -z "$open" ]; } || fail untrusted "${open:-unknown - $root/$1}"
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
    fail "$reported" "${detail:-it ended with exit code $code and printed nothing}"
  fi
}
