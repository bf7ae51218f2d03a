#!/bin/sh
# foreign.sh KIND OUT: makes a root of another kind than this machine's in the new folder OUT. No program of it is run.
#   arm64, i386   Debian 12 with python3 and what tests/tools/mkbuild.py takes
#   xenial        Ubuntu 16.04, whose glibc 2.23 is the oldest that a public archive of packages still has
# Root, and the packages that packages.txt lists. Packages come from debootstrap's own default archives.
set -eu
umask 022
kind=$1 out=$2

# The suite is closed, so its Release never changes. Debian has no keyring of Ubuntu's; the checksum stands for the signature.
XENIAL_RELEASE=ce816774886f565d152b0b233fd715af3aa966fefb2277546bce75fdcf9ae996

case $kind in
arm64 | i386)
  debootstrap --foreign --arch="$kind" --variant=minbase --include=python3,python3-filelock,patchelf bookworm "$out" >&2
  ;;
xenial)
  debootstrap --foreign --no-check-gpg --arch=amd64 --variant=minbase xenial "$out" >&2
  for release in "$out"/var/lib/apt/lists/*_dists_xenial_Release; do
    echo "$XENIAL_RELEASE  $release" | sha256sum --check --quiet >&2
  done
  ;;
*)
  echo "unknown kind $kind: give arm64, i386 or xenial" >&2
  exit 64
  ;;
esac

# What the packages' own scripts would do is not needed, but for the accounts.
for package in "$out"/var/cache/apt/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$out"
done
cp "$out/usr/share/base-passwd/passwd.master" "$out/etc/passwd"
cp "$out/usr/share/base-passwd/group.master" "$out/etc/group"
rm -rf "$out/debootstrap" "$out"/var/cache/apt/* "$out"/var/lib/apt/lists/* "$out/usr/share/doc" "$out/usr/share/locale" "$out/usr/share/man"
rm -rf "${out:?}"/dev/* "$out/proc"
mkdir "$out/proc"
