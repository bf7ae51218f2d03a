#!/bin/sh
# emulated.sh QEMU ROOT COMMAND...: runs a command of this machine that may start programs of another architecture in ROOT, which gets
# /proc. QEMU is a static qemu-aarch64, or empty where the machine runs ROOT's programs itself.
# The kernel keeps a table of foreign formats for each user namespace (Linux 6.7), so the machine's own table stays as it is.
# shellcheck disable=SC2016  # the inner shell's parameters
set -eu
pipes=$(mktemp -d)
mkfifo "$pipes/ready" "$pipes/go"
exec 3<&0
unshare --user --mount sh -c '
  set -eu
  pipes=$1 qemu=$2 root=$3
  shift 3
  echo >"$pipes/ready"
  read -r _ <"$pipes/go" || :
  rm -r "$pipes"
  if [ -n "$qemu" ]; then
    mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
    magic="\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    mask="\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
    printf "%s" ":aarch64:M::$magic:$mask:$qemu:OCF" >/proc/sys/fs/binfmt_misc/register
  fi
  mount --rbind /proc "$root/proc"
  exec "$@"
' sh "$pipes" "$@" <&3 &
child=$!
read -r _ <"$pipes/ready" || :
# All accounts are what they are outside.
for map in uid_map gid_map; do echo '0 0 4294967295' >"/proc/$child/$map"; done
echo >"$pipes/go"
wait "$child"
