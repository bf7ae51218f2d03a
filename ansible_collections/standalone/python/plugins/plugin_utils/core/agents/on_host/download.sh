# download.sh: downloads a build's archive on the host. Sent with build.sh for delivery: pull.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

download() { # URL FILE: keeps the token and secrets in the URL off command lines, which other users can read
  if have curl; then
    header=
    [ -z "$token" ] || header="header = \"Authorization: Bearer $(quoted "$token")\""
    case $1 in [Hh][Tt][Tt][Pp][Ss]:*) onward='=https' ;; *) onward='=http,https' ;; esac
    # -g: brackets and braces in a URL have no meaning.
    curl -gfsSL --proto =http,https --proto-redir "$onward" --retry 3 --connect-timeout 20 --speed-limit 1000 --speed-time 60 \
      -K - 2>"$here/err" <<END
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
  until LC_ALL=C WGETRC=$here/wgetrc wget -nv -S -T 60 --max-redirect=0 -O "$2" -i - 2>"$here/err" <<END
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

unpack_pulled() { # SHA256 FORM MEMBER URL...: downloads from the first URL that answers
  sum=$1
  form=$2
  tree=$3
  shift 3
  errors=
  for url; do
    begin "downloading $name"
    if download "$url" "$here/archive"; then
      unpack_checked "$here/archive" "$sum" "$form" "$tree"
      to_disk_meanwhile "$here/archive"
      [ "$tree" = python ] || {
        try io mv "$here/$tree" "$here/tree"
        try io rm -rf "$here/python"
        try io mv "$here/tree" "$here/python"
      }
      return
    fi
    errors="$errors${errors:+; }$(shown "$url"): $(download_errors)"
    fail_if_full "$errors"
  done
  fail download "$errors"
}
