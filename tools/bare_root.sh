# Bare systems of other Debian and Ubuntu releases, for the scripts beside this file that source it. Needs root,
# debootstrap and the archives of Debian and Ubuntu.
# SPDX-License-Identifier: Apache-2.0

# is_ubuntu SUITE
is_ubuntu() { case $1 in noble | jammy | bionic) true ;; *) false ;; esac; }

# need_bare_roots SCRIPT: ends the script with status 2 if this machine cannot make such systems.
need_bare_roots() {
  [ "$(id -u)" -eq 0 ] || { echo "$1: only root can make the roots" >&2; exit 2; }
  command -v debootstrap >/dev/null || { echo "$1: apt-get install debootstrap" >&2; exit 2; }
}

# bare_root SUITE ROOT [PACKAGE,...]: makes the system in the folder ROOT if it is not there yet.
bare_root() {
  [ -e "$2.made" ] && return
  rm -rf "$2"
  mkdir -p "$2"
  if is_ubuntu "$1"; then
    from="http://archive.ubuntu.com/ubuntu gutsy" parts=main,universe
  else
    from="http://deb.debian.org/debian sid" parts=main
  fi
  # shellcheck disable=SC2086  # two words
  debootstrap --variant=minbase --no-check-gpg --components=$parts --include="ca-certificates${3:+,$3}" "$1" "$2" $from \
    >"$2.log" || { tail "$2.log"; exit 1; }
  touch "$2.made"
}

# expect_no_compiler SUITE ROOT
expect_no_compiler() {
  ! chroot "$2" sh -c 'command -v cc || command -v g++' || {
    echo "$1 has a compiler: this would not show that none is needed" >&2
    exit 1
  }
}

# in_root ROOT COMMANDS: runs them there by sh, with the network and /proc.
in_root() {
  mkdir -p "$1/proc" "$1/etc/ssl/certs"
  cp /etc/resolv.conf "$1/etc"
  cp /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs"
  # shellcheck disable=SC2016  # the inner shell expands it
  unshare -m sh -euc 'mount -t proc proc "$0/proc"; exec chroot "$0" sh -euc "$1"' "$1" "$2"
}
