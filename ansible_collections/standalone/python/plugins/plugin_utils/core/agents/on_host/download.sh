# download.sh: downloads a build's archive on the host. Sent with build.sh for delivery: pull.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

download() { # URL FILE: keeps the token and secrets in the URL off command lines, which other users can read
  if have curl; then
    header=
    [ -z "$token" ] || header="header = \"Authorization: Bearer $(quoted "$token")\""
    case $1 in [Hh][Tt][Tt][Pp][Ss]:*) onward='=https' ;; *) onward='=http,https' ;; esac
    # -g: brackets and braces in a URL have no meaning.
    curl -gfsSL --proto =http,https --proto-redir "$onward" --connect-timeout 20 --speed-limit 1000 --speed-time 60 \
      -D "$here/headers" -K - 2>"$here/err" <<END
url = "$(quoted "$1")"
output = "$(quoted "$2")"
$header
END
  elif ! have wget; then
    fail nodownload
  elif gnu_wget; then
    download_by_gnu_wget "$1" "$2"
  else
    case $1 in *://*@* | *\?*) fail tokenwget ;; esac
    [ -z "$token" ] || fail tokenwget
    # No -T: Debian's busybox, built without time limits, crashes on it.
    wget -q -O "$2" "$1" 2>"$here/err"
  fi
}

# GNU wget can't refuse a redirect from https to http, and sends the token to the new server. So redirects are followed here.
download_by_gnu_wget() { # URL FILE
  (umask 077 && cat >"$here/wgetrc") <<END
${token:+header = Authorization: Bearer }$token
END
  at=$1
  hops=0
  until LC_ALL=C WGETRC=$here/wgetrc wget -nv -S -T 60 -t 2 --max-redirect=0 -O "$2" -i - 2>"$here/err" <<END
$at
END
  do
    onward=$(sed -n 's/^ *[Ll]ocation: *//p' "$here/err" | sed q | tr -d '\r')
    [ -n "$onward" ] || return 1
    [ -z "$token" ] || fail redirected
    server=${at#*://}
    case $onward in
      *://*) ;;
      //*) onward=${at%%:*}:$onward ;;
      /*) onward=${at%%:*}://${server%%[/?#]*}$onward ;;
      *)
        at=${at%%[?#]*}
        onward=${at%/*}/$onward
        ;;
    esac
    case $at,$onward in
      *,[Hh][Tt][Tt][Pp][Ss]://* | [Hh][Tt][Tt][Pp]://*,[Hh][Tt][Tt][Pp]://*) at=$onward ;;
      *)
        echo "it redirects to $(shown "$onward")" >"$here/err"
        return 1
        ;;
    esac
    hops=$((hops + 1))
    [ $hops -lt 10 ] || {
      echo 'it redirects more than 10 times' >"$here/err"
      return 1
    }
  done
}

# Users, passwords, queries and fragments can be secrets, so messages show none of them.
shown() { # URL
  server=${1#*://}
  server=${server%%[?#]*}
  below=${server#"${server%%/*}"}
  server=${server%%/*}
  put "${1%%://*}://${server##*@}$below"
}

# The output of curl or wget, without secrets and without the server's headers.
download_errors() {
  LC_ALL=C sed -e '/^  /d' -e 's,\(://\)[^/ ]*@,\1,g' -e 's,\(://[^?# ]*\)[?#][^ ]*,\1,g' "$here/err" 2>/dev/null
}

gnu_wget() { case $(wget --version 2>&1) in *GNU\ Wget*) ;; *) return 1 ;; esac; }

quoted() {
  sed 's/[\\"]/\\&/g' <<END
$1
END
}

# A busy mirror refuses or resets connections, or answers 429 or 503. curl and wget retry some of these, all hosts at the same time.
may_pass() { # can the failure pass by itself?
  case $(download_status) in
    408 | 425 | 429 | 5??) return ;;
    ???) return 1 ;;
  esac
  case $reason in
    '') return ;;
    *ertificate* | *resolve* | *'bad address'*) return 1 ;;
    *onnect* | *reset* | *'timed out'* | *'too slow'* | *closed* | *mpty\ reply* | *'No data'* | *'ead error'* | *'getting response'*) ;;
    *) return 1 ;;
  esac
}

download_status() { # -> the status that the server answered with; nothing without an answer
  LC_ALL=C sed -n -e 's/^.*returned error: \(HTTP[^ ]* \)\{0,1\}\([0-9][0-9][0-9]\).*/\2/p' -e 's/^.* ERROR \([0-9][0-9][0-9]\):.*/\1/p' \
    "$here/err" | sed -n '$p'
}

retry_after() { # -> the seconds that the server asks to wait; nothing if it does not
  cat "$here/headers" "$here/err" 2>/dev/null |
    LC_ALL=C sed -n 's/^ *[Rr][Ee][Tt][Rr][Yy]-[Aa][Ff][Tt][Ee][Rr]: *\([0-9]\{1,4\}\)[0-9]*[^0-9]*$/\1/p' | sed -n '$p'
}

pause() { # SECONDS: half to one and a half times as long, so that hosts that were refused together come back one by one
  number=$(od -An -N2 -tu2 /dev/urandom 2>/dev/null | tr -d ' \n')
  case $number in '' | *[!0123456789]*) number=$$ ;; esac
  sleep $((asked + $1 / 2 + number % ($1 + 1)))
}

unpack_pulled() { # SHA256 FORM MEMBER URL...
  sum=$1
  form=$2
  tree=$3
  shift 3
  download_first "$@"
  unpack_download
}

rebuild_pulled() { # SHA256 BUILD TAR-SHA256 KILOBYTES INODES URL...: downloads a delta; see rebuild
  sum=$1
  old=$2
  tar_sum=$3
  need_kb=$4
  need_inodes=$5
  shift 5
  download_first "$@"
  rebuild "$here/archive" "$sum" "$old" "$tar_sum" "$need_kb" "$need_inodes" foreign
}

download_first() { # URL...: downloads from the first URL that answers
  begin "downloading $name"
  final=
  # About a minute: a mirror that serves 50 hosts at a time at 1 Gbit/s has served 200 by then.
  for seconds in 2 4 8 16 32 end; do
    errors=
    asked=
    untried=$#
    while [ "$untried" -gt 0 ]; do
      url=$1
      shift
      untried=$((untried - 1))
      rm -f "$here/headers" "$here/err"
      if download "$url" "$here/archive"; then return; fi
      reason=$(download_errors)
      # GNU wget prints nothing about a connection that breaks off.
      error="$(shown "$url"): ${reason:-the connection broke off}"
      fail_if_full "$error"
      if may_pass; then
        errors="$errors${errors:+; }$error"
        set -- "$@" "$url"
        after=$(retry_after)
        [ -n "$asked" ] && [ "$asked" -lt "${after:-0}" ] || asked=${after:-0}
      else
        final="$final${final:+; }$error"
      fi
    done
    # A server that asks for more than a minute is not waited for, as other runs wait for the lock.
    [ $# -gt 0 ] && [ "$seconds" != end ] && [ "$asked" -le 60 ] || break
    pause "$seconds"
  done
  fail download "$final${final:+${errors:+; }}$errors"
}

# A tar that a server made may unpack elsewhere, so no program but the one for checksums reads it before its checksum agrees.
unpack_download() {
  can_unpack "$form"
  sum_of "$here/archive"
  require_sum "$sum"
  unpack "$form" "$tree" <"$here/archive"
  require_unpacked $?
  to_disk_meanwhile "$here/archive"
  [ "$tree" = python ] || {
    try io mv "$here/$tree" "$here/tree"
    try io rm -rf "$here/python"
    try io mv "$here/tree" "$here/python"
  }
}
