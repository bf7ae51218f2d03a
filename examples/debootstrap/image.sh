#!/bin/sh
# Makes the root of a Debian with Python 3.13 as a tar, the same to the bit each time from the same packages and the same build:
#
#     image.sh image.tar bookworm http://mirror.example/debian
#
# Root, debootstrap and standalone-python are needed. python.yml beside this file says which Python it is.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
to=$1
suite=$2
mirror=$3
root=$(mktemp -d)
mounted=
# Not with what is mounted still in it.
trap '[ -z "$mounted" ] || umount "$root/proc"; rm -rf "$root"' EXIT

# What is made has this time, and nothing the present's. A tag's or a commit's is as good.
: "${SOURCE_DATE_EPOCH:=1736899200}"
export SOURCE_DATE_EPOCH

debootstrap --variant=minbase "$suite" "$root" "$mirror"

mount -t proc proc "$root/proc"
mounted=yes
standalone-python apply "$here/python.yml" --root-dir "$root"
standalone-python verify --root-dir "$root"
umount "$root/proc"
mounted=

# What only this run knows: when and from where.
rm -rf "$root/var/cache/apt" "$root/var/lib/apt/lists" "$root/var/log" "$root/var/cache/ldconfig"
: >"$root/etc/machine-id"
tar --sort=name --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --clamp-mtime -C "$root" -cf "$to" .
