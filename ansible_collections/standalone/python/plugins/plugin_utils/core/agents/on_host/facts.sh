# facts.sh: prints what kind of host it is. Sent if facts isn't no, with disk.sh.
# shellcheck shell=sh disable=SC2154,SC2034,SC2317,SC2329 # the other parts set, use and call these

glibc_version() { # FILE-OF-LIBC -> 2.36
  case ${1##*/} in
    libc-2.*.so) v=${1##*/libc-} && printf '%s' "${v%.so}" && return ;;
  esac
  v=$(getconf GNU_LIBC_VERSION 2>/dev/null) && [ -n "$v" ] && printf '%s' "${v#glibc }" && return
  for v in "$("$1" 2>/dev/null)" "$(ldd --version 2>/dev/null)"; do
    v=${v%%"$nl"*}
    case $v in
      *version\ 2.*) v=${v##*version } && printf '%s' "${v%%[!0-9.]*}" | LC_ALL=C sed 's/\.$//' && return ;;
      *\ 2.[0-9]*) printf '%s' "${v##* }" && return ;;
    esac
  done
}

linked_libc() { # -> the C library or loader of this shell, from its memory map
  [ -r /proc/self/maps ] || return 0
  while read -r _ _ _ _ _ file; do
    case $file in
      */ld-musl-* | *musl*/libc.so | /lib/libc.so | /usr/lib/libc.so) printf '%s' "$file" && return ;;
      */libc.so.6 | */libc-2.*.so) printf '%s' "$file" && return ;;
    esac
  done </proc/self/maps
}

loaders() { # -> the loaders of this host, for a shell that is static
  for f in /lib/ld-musl-*.so.1 /lib64/ld-linux-x86-64.so.2 /lib/ld-linux*.so.* /lib64/ld64.so.* /lib/ld64.so.* /lib64/ld-linux*.so.*; do
    [ -e "$f" ] && printf '%s ' "$f"
  done
}

machine() { # -> the architecture of this userland; under a 32-bit one uname -m prints the kernel's
  arch=$(uname -m)
  loader=$(loaders)
  case $arch in
    x86_64 | amd64)
      case " $loader" in
        *ld-linux-x86-64* | *ld-musl-x86_64*) ;;
        *ld-linux.so.2* | *ld-musl-i386*) arch=i686 ;;
      esac ;;
    aarch64 | arm64)
      case " $loader" in
        *ld-linux-aarch64* | *ld-musl-aarch64*) ;;
        *ld-linux-armhf* | *ld-linux.so.3* | *ld-musl-arm*) arch=armv7l ;;
      esac ;;
  esac
  printf '%s' "$arch"
}

linux_facts() {
  echo "arch=$(machine)"
  libc=$(linked_libc)
  loader=$(loaders)
  case $libc in
    */ld-musl-* | */libc.so) echo libc=musl ;;
    ?*) printf 'libc=glibc\nlibc_version=%s\n' "$(glibc_version "$libc")" ;;
    *)
      case " $loader" in
        *ld-linux* | *ld64.so*)
          for f in /lib/*/libc.so.6 /lib64/libc.so.6 /usr/lib/libc.so.6 /lib/libc.so.6; do
            [ -e "$f" ] && break
          done
          printf 'libc=glibc\nlibc_version=%s\n' "$(glibc_version "$f")" ;;
        *ld-musl*) echo libc=musl ;;
        *) echo libc= ;;
      esac ;;
  esac
  case " $loader" in
    *ld-linux-armhf* | *ld-musl-armhf*) echo float_abi=hard ;;
    *ld-linux.so.3* | *ld-musl-arm.so*) echo float_abi=soft ;;
  esac
  cpu_flags cpu_flags
}

darwin_facts() {
  arch=$(uname -m)
  # Under Rosetta uname prints x86_64, but arm64 builds run better.
  [ "$(sysctl -n hw.optional.arm64 2>/dev/null)" = 1 ] && arch=arm64
  echo "arch=$arch"
  if [ "$arch" = x86_64 ]; then
    echo "cpu_flags=$(sysctl -n machdep.cpu.features machdep.cpu.leaf7_features machdep.cpu.extfeatures 2>/dev/null | tr '\nA-Z' ' a-z')"
  fi
}

host_facts() {
  os=$(uname -s)
  echo "os=$os"
  case $os in
    Linux) linux_facts ;;
    Darwin) darwin_facts ;;
    *) echo "arch=$(uname -m)" ;;
  esac
  tools=
  for t in tar zstd gzip curl wget sha256sum shasum openssl awk; do have "$t" && tools="$tools $t"; done
  echo "tools=${tools# }"
  # Only GNU wget can keep a token off its command line.
  have curl || case $(wget --version 2>&1) in *GNU\ Wget*) echo wget=gnu ;; esac
  free=$(free_kb "$(existing "$root")")
  [ -z "$free" ] || echo "free_kb=$free"
  free=$(free_inodes "$(existing "$root")")
  [ -z "$free" ] || echo "free_inodes=$free"
}
