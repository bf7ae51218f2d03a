#!/bin/sh
# host.sh NAME ADDRESS PORT DISK_MB FILE_TRANSFER NETWORK: process 1 of one test host, in mount, process and host name namespaces of its own.
# In the environment: BASES, where build.sh's file systems stand; LAYERS, those of this host, top first, with colons between;
# FOLDER, this host's own folder; KEYS, the folder of the session's keys.
# The host's root is an overlay at $BASES/door/mnt, where nobody outside its mount namespace sees it; the server in $BASES/door lets
# people into it. The host lives until standard input ends: whoever holds the other end of that pipe can die in any way, and it is gone.
set -eu
umask 022
name=$1 address=$2 port=$3 disk_mb=$4 file_transfer=$5 network=$6
door=$BASES/door
root=$door/mnt

# Before /proc is mounted anew it tells the process id that the machine knows.
read -r pid _ </proc/self/stat
echo "$pid" >"$FOLDER/pid"

overlay() {
  mkdir -p "$FOLDER/disk/upper" "$FOLDER/disk/work"
  mount -t overlay -o "lowerdir=$LAYERS,upperdir=$FOLDER/disk/upper,workdir=$FOLDER/disk/work" overlay "$root"
}
if [ "$disk_mb" != 0 ]; then
  mount -t tmpfs -o "mode=755,size=${disk_mb}m" disk "$FOLDER/disk"
  overlay
else
  # Inside a container the folder may be on an overlay itself, which can't carry another.
  overlay 2>/dev/null || { mount -t tmpfs -o mode=755 disk "$FOLDER/disk" && overlay; }
fi

mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755,size=16m dev "$root/dev"
for node in null zero full random urandom tty; do
  : >"$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir -m 755 "$root/dev/pts"
mkdir -m 1777 "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"

hostname "$name"
echo "$name" >"$root/etc/hostname"
echo "127.0.0.1 localhost $name" >"$root/etc/hosts"

mount --rbind "$root/proc" "$door/proc"
mount --rbind "$root/dev" "$door/dev"
mount -t tmpfs -o mode=755,size=1m run "$door/run"
mkdir "$door/run/sshd"
: >"$door/run/lastlog" # the server complains to whoever has a terminal if it isn't there
install -m 600 "$KEYS/host_key" "$door/run/host_key"
install -m 644 "$KEYS/key.pub" "$door/run/authorized_keys"

# A network of its own has a loopback interface that is down, and no other.
[ "$network" = yes ] || chroot "$BASES/busybox" ip link set lo up

set -- -o "ListenAddress=$address" -o "Port=$port"
if [ "$file_transfer" = yes ]; then
  set -- "$@" -o 'Subsystem=sftp internal-sftp'
else
  rm -f "$root/usr/bin/scp"
fi
chroot "$door" /usr/sbin/sshd -D -e -f /etc/ssh/sshd_config "$@" &

# In the foreground, so that this shell waits: process 1 has to collect whatever loses its parent.
cat >/dev/null || :
