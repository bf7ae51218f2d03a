# disk.sh: computes checksums and free space. Sent with verify=full, facts.sh and apply.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

sha256() { # [-c LIST | FILE]: like sha256sum, with any program of this host
  if have sha256sum; then sha256sum "$@"
  elif have shasum; then shasum -a 256 "$@"
  elif [ "$1" = -c ]; then return 127
  elif have openssl; then openssl dgst -sha256 -r "$@"
  else return 127
  fi
}

free_kb() { # FOLDER -> free kilobytes; empty if unknown
  df -Pk "$1" 2>/dev/null | {
    read -r _
    IFS= read -r line || return 0
    # A device's name may have spaces, so columns are counted back from the percent sign.
    set -f
    # shellcheck disable=SC2086 # split into words on purpose
    set -- ${line%%"% "*}
    [ $# -lt 3 ] || shift $(($# - 2))
    case $1 in *[!0-9]*) ;; *) printf '%s' "$1" ;; esac
  }
}

free_inodes() { # FOLDER -> free inodes; empty if unknown or unlimited
  LC_ALL=C df -Pi "$1" 2>/dev/null | {
    read -r head
    IFS= read -r line || return 0
    case $head in
      *ifree*) line=${line#*"% "} ;; # BSD: behind the blocks' own percent sign
      *[Ii]nodes*) ;;
      *) return 0 ;;
    esac
    set -f
    # shellcheck disable=SC2086 # split into words on purpose
    case $line in *"% "*) set -- ${line%%"% "*} ;; *) return 0 ;; esac
    [ $# -lt 3 ] || shift $(($# - 3))
    # Used, free, percent. If none is in use, the file system has no inodes.
    case $1$2 in 0* | *[!0-9]*) ;; *) printf '%s' "$2" ;; esac
  }
}

compare() ( # BUILD-FOLDER: compares each file with the list, and prints additional modules
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
