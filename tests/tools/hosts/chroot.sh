#!/bin/sh
# chroot.sh ROOT COMMAND...: a chroot as who makes an image has it: /proc is there while something runs in it, and goes with that.
# shellcheck disable=SC2016  # the inner shell's $1
exec unshare --mount sh -c 'mount -t proc proc "$1/proc" && exec chroot "$@"' sh "$@"
