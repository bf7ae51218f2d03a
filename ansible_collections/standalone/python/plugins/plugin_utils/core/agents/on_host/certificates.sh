# certificates.sh: finds the file with the certificates that the host trusts. Sent with build.sh where a plan installs builds with
# certificates: system.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

find_certificates() { # FILE... -> certificates: the first that this user can read and that holds a certificate
  step="finding the host's trusted certificates"
  for certificates; do
    holds_certificate "$certificates" || continue
    # Who can change this file or its folders decides whom every program of the interpreter trusts.
    parents "$certificates"
    classify_all "$parents"
    check_parents "$parents"
    [ -z "$open" ] || fail exposed_certificates "$open"
    return
  done
  fail no_certificates "$*"
}

holds_certificate() { # FILE: -f also follows links, and is false for those that lead nowhere or in a circle
  { [ -f "$1" ] && [ -r "$1" ]; } || return 1
  while IFS= read -r line; do
    case $line in '-----BEGIN CERTIFICATE-----'* | '-----BEGIN TRUSTED CERTIFICATE-----'*) return 0 ;; esac
  done <"$1"
  return 1
}
