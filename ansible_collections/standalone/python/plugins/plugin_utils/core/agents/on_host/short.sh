# short.sh: downloads a script that installs builds, verifies its checksum, and runs it with the same options.
#
# Set before it: url and sha256.
# shellcheck shell=sh disable=SC2154,SC2329 # the renderer sets these

end_with() { # SENTENCE
  printf '%s\n' "install-python: $1; nothing was changed" >&2
  exit 1
}

main() {
  folder=$(mktemp -d) || end_with 'a temporary folder can not be made: make room, or set TMPDIR to another folder'
  trap 'rm -rf "$folder"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  if command -v curl >/dev/null 2>&1; then curl -fsSL --retry 3 --connect-timeout 20 -o "$folder/script" "$url"
  elif command -v wget >/dev/null 2>&1; then wget -q -O "$folder/script" "$url"
  else end_with 'this host has neither curl nor wget: install one of them'
  fi || end_with "$url can not be downloaded: let this host reach it"
  for tool in sha256sum 'shasum -a 256' 'openssl dgst -sha256 -r'; do
    command -v "${tool%% *}" >/dev/null 2>&1 || continue
    found=$($tool <"$folder/script")
    [ "${found%% *}" = "$sha256" ] || end_with "$url has the sha256 ${found%% *}, where $sha256 was expected: publish the script anew"
    sh "$folder/script" "$@"
    exit
  done
  end_with 'this host has no sha256sum, shasum or openssl to verify the script: install one of them'
}
