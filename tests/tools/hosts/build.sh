#!/bin/sh
# build.sh OUT: makes the file systems that test hosts are overlays of, one folder a kind, in the new folder OUT.
#   OUT/debian   Debian minbase with sudo, tcsh and fish
#   OUT/zstd     what is laid over debian to give it the zstd program
#   OUT/busybox  busybox and glibc
#   OUT/musl     a static busybox and the loader of musl; no glibc
#   OUT/macish   a userland with macOS's programs: bsdtar as tar, perl's shasum, curl, bash as sh; none of GNU's
#   OUT/door     the OpenSSH server that lets people into any of them, so that nothing of it has to stand in a host
# Root, Debian or Ubuntu. Packages come from wherever apt on this machine gets them. Installs nothing, changes nothing outside OUT.
set -eu
umask 022
out=$1
parts=$out/parts # a Debian with every program that some kind takes; gone at the end

bootstrap() { # bootstrap ROOT: Debian minbase, from the first of apt's main archives that debootstrap can read
  # shellcheck source=/dev/null
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  # shellcheck disable=SC2016  # apt fills in REPO_URI
  archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" 'Component: main' |
    grep -m 1 -E '^(https?|file):') || {
    echo "apt's sources have no archive of $suite at an http, https or file address, which debootstrap needs" >&2
    exit 1
  }
  debootstrap --variant=minbase --include=sudo "$suite" "$1" "$archive" >&2
  rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/* "$1"/usr/share/doc "$1"/usr/share/locale "$1"/usr/share/man
}

apt() { # apt WORDS...: the machine's apt with its sources, but with a cache of its own and the packages of debian as what is installed
  mkdir -p "$parts.apt/archives/partial"
  apt-get -qq -o Dir::State::status="$out/debian/var/lib/dpkg/status" -o Dir::Cache="$parts.apt" \
    -o APT::Sandbox::User=root -o Debug::NoLocking=1 "$@" </dev/null >&2
}

gather() { # gather PACKAGE...: fills $parts, and $parts.static with the one package that conflicts with another
  cp -a "$out/debian" "$parts"
  apt --yes --no-install-recommends --download-only install "$@"
  for package in "$parts.apt"/archives/*.deb; do unpack "$package" "$parts"; done
  mkdir "$parts.static"
  (cd "$parts.apt" && apt download busybox-static)
  unpack "$parts.apt"/busybox-static_*.deb "$parts.static"
}

unpack() { # unpack PACKAGE ROOT: like dpkg -x, which would put folders in the place of the links /bin and /lib
  dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink -C "$2"
}

put() { # put ROOT PROGRAM [NAME]: a program of $parts and every library it needs that ROOT has not
  install -D -m 755 "$parts$(inside "$2")" "$1${3:-$2}"
  chroot "$parts" ldd "$2" 2>/dev/null | sed -n 's|^[^/]*\(/[^ ]*\) (.*|\1|p' | while read -r library; do
    put_library "$1" "$library"
  done
}

put_library() { # put_library ROOT PATH: /lib and /lib64 are links into /usr in every root, so that layers can lie on each other
  [ -e "$1/usr${2#/usr}" ] || [ -e "${under:-$1}/usr${2#/usr}" ] || install -D -m 755 "$parts$(inside "$2")" "$1/usr${2#/usr}"
}

inside() { chroot "$parts" readlink -f "$1"; }

skeleton() { # skeleton ROOT: the folders of a system, with /bin, /sbin, /lib and /lib64 as links into /usr
  for folder in bin sbin lib lib64; do
    mkdir -p "$1/usr/$folder"
    ln -s "usr/$folder" "$1/$folder"
  done
  mkdir -p "$1"/dev "$1"/etc "$1"/home "$1"/mnt "$1"/proc "$1"/root "$1"/run "$1"/sys "$1"/tmp "$1"/var/empty "$1"/var/tmp
  chmod 700 "$1/root"
  chmod 1777 "$1/tmp" "$1/var/tmp"
}

account() { # account ROOT NAME ID HOME SHELL: none has a password
  grep -qs "^$2:" "$1/etc/passwd" && return
  echo "$2:x:$3:$3::$4:$5" >>"$1/etc/passwd"
  echo "$2:*:19000:0:99999:7:::" >>"$1/etc/shadow"
  echo "$2:x:$3:" >>"$1/etc/group"
  chmod 600 "$1/etc/shadow"
}

accounts() { # accounts ROOT: root, deploy and plain; and two with other shells, which debian alone has
  account "$1" root 0 /root /bin/sh
  account "$1" deploy 1000 /home/deploy /bin/sh
  account "$1" plain 1001 /home/plain /bin/sh
  account "$1" tcsh 1002 /home/tcsh /usr/bin/tcsh
  account "$1" fish 1003 /home/fish /usr/bin/fish
  install -d -m 700 -o 1000 -g 1000 "$1/home/deploy"
  install -d -m 700 -o 1001 -g 1001 "$1/home/plain"
  install -d -m 700 -o 1002 -g 1002 "$1/home/tcsh"
  install -d -m 700 -o 1003 -g 1003 "$1/home/fish"
}

applets() { # applets ROOT BUSYBOX NOT...: links to a busybox for each thing it can do, except for package managers and those named
  root=$1 busybox=$2
  shift 2
  for applet in $("$parts.static/bin/busybox" --list); do
    case " busybox dpkg dpkg-deb rpm rpm2cpio $* " in *" $applet "*) continue ;; esac
    ln -s "$busybox" "$root/usr/bin/$applet"
  done
}

glibc() { # glibc ROOT: the libraries of libc that a program linked elsewhere may ask for
  multiarch=$(cd "$parts/usr/lib" && echo *-linux-gnu*)
  for name in libc.so.6 libm.so.6 libpthread.so.0 libdl.so.2 libutil.so.1 librt.so.1; do
    put_library "$1" "/lib/$multiarch/$name"
  done
}

debian() {
  accounts "$out/debian"
  for user in deploy tcsh fish; do echo "$user ALL=(ALL) NOPASSWD: ALL" >"$out/debian/etc/sudoers.d/$user"; done
  put "$out/debian" /usr/bin/scp
  put "$out/debian" /usr/bin/tcsh
  put "$out/debian" /usr/bin/fish
  (cd "$parts" && cp -a --parents usr/share/fish/config.fish usr/share/fish/functions "$out/debian")
}

zstd() { under=$out/debian put "$out/zstd" /usr/bin/zstd; }

busybox() {
  skeleton "$out/busybox"
  accounts "$out/busybox"
  glibc "$out/busybox"
  put "$out/busybox" /usr/bin/busybox
  applets "$out/busybox" busybox
  put "$out/busybox" /usr/bin/scp
}

musl() { # no program but busybox: the loader is there for the sake of those who look for it
  skeleton "$out/musl"
  accounts "$out/musl"
  install -m 755 "$parts.static/bin/busybox" "$out/musl/usr/bin/busybox"
  applets "$out/musl" busybox
  install -m 755 "$parts/usr/lib/$(uname -m)-linux-musl/libc.so" "$out/musl/usr/lib/ld-musl-$(uname -m).so.1"
  ln -s "ld-musl-$(uname -m).so.1" "$out/musl/usr/lib/libc.musl-$(uname -m).so.1"
}

macish() { # the rest of its programs are busybox's, out of sight in libexec
  skeleton "$out/macish"
  accounts "$out/macish"
  glibc "$out/macish"
  put "$out/macish" /usr/bin/busybox /usr/libexec/busybox
  applets "$out/macish" ../libexec/busybox ash sh tar wget stat readlink realpath timeout nproc flock setsid tac \
    md5sum sha1sum sha256sum sha3sum sha512sum
  put "$out/macish" /usr/bin/bash /usr/bin/sh
  put "$out/macish" /usr/bin/bsdtar /usr/bin/tar
  put "$out/macish" /usr/bin/curl
  put "$out/macish" /usr/bin/scp
  put "$out/macish" /usr/bin/perl
  put "$out/macish" /usr/bin/shasum
  (cd "$parts" && cp -a --parents usr/lib/*/perl-base usr/lib/*/perl/5.??/Digest usr/lib/*/perl/5.??/auto/Digest "$out/macish")
}

door() {
  skeleton "$out/door"
  accounts "$out/door"
  account "$out/door" sshd 74 /run/sshd /bin/false
  put "$out/door" /usr/sbin/sshd
  (cd "$parts" && find usr/lib/openssh -name 'sshd-*') | while read -r program; do put "$out/door" "/$program"; done
  mkdir -p "$out/door/etc/ssh"
  ln -s ../run "$out/door/var/log" # where each host has a file system of its own; the rest of door is only read
  cat >"$out/door/etc/ssh/sshd_config" <<'END'
AuthorizedKeysFile /run/authorized_keys
ChrootDirectory /mnt
HostKey /run/host_key
KbdInteractiveAuthentication no
# The default exchange of keys makes a connection take twice as long.
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
MaxSessions 200
MaxStartups 500
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
PrintLastLog no
PrintMotd no
StrictModes no
UseDNS no
UsePAM no
END
  # Newer servers shut out an address whose connections break often, which is what these hosts are for.
  if grep -q -a PerSourcePenalties "$out/door/usr/sbin/sshd"; then
    echo 'PerSourcePenalties no' >>"$out/door/etc/ssh/sshd_config"
  fi
}

under= # a root whose libraries count as there already
bootstrap "$out/debian"
gather bash busybox curl fish libarchive-tools musl openssh-client openssh-server openssh-sftp-server perl tcsh zstd
for kind in debian zstd busybox musl macish door; do $kind; done
rm -rf "$parts" "$parts.apt" "$parts.static"
