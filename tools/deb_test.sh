#!/bin/sh
# Installs the packages of tools/deb.sh in bare Debian and Ubuntu systems: the library alone needs no compiler, and with
# libvarlstm-dev the guide's programs compile through pkg-config and through find_package, and print what the guide says.
# The tagger is tried where its other libraries are to be had: in the release that the packages were built in.
#   sh tools/deb_test.sh [SUITE...]    bookworm trixie noble by default; roots are kept in build-deb/roots
# SPDX-License-Identifier: Apache-2.0
set -eu
case "${1-}" in -*) echo "deb_test.sh has no options: $1" >&2; exit 2 ;; esac
[ $# -gt 0 ] || set -- bookworm trixie noble
cd "$(dirname "$0")/.."
. tools/bare_root.sh
need_bare_roots deb_test.sh
for package in libvarlstm0 libvarlstm-dev varlstm-tagger; do
  [ -f "$(echo build-deb/${package}_*.deb)" ] || { echo "deb_test.sh: no $package in build-deb: run tools/deb.sh" >&2; exit 2; }
done
here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")

for suite in "$@"; do
  printf '\n== %s\n' "$suite"
  kept=$PWD/build-deb/roots/$suite root=$PWD/build-deb/roots/$suite.now
  bare_root "$suite" "$kept"
  rm -rf "$root"
  cp -a "$kept" "$root"
  expect_no_compiler "$suite" "$root"
  mkdir -p "$root/src/capi" "$root/src/tests/capi"
  cp build-deb/*.deb "$root/src"
  cp capi/README.md "$root/src/capi"
  cp -r tests/capi/documentation tests/capi/consumer "$root/src/tests/capi"
  in_root "$root" '
    export DEBIAN_FRONTEND=noninteractive LC_ALL=C
    install="apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends"
    apt-get -qq update
    $install /src/libvarlstm0_*.deb >/dev/null
    ldconfig -p | grep -q "libvarlstm\.so\.0" || { echo "ldconfig does not know the library"; exit 1; }
    ! command -v cc >/dev/null
    [ "'"$suite"'" != "'"$here"'" ] || {
      $install /src/varlstm-tagger_*.deb >/dev/null
      varlstm-tagger demo --threads 1 | tail -n 1
    }
    $install gcc g++ libc6-dev cmake make pkg-config /src/libvarlstm-dev_*.deb >/dev/null
    mkdir /src/work && cd /src/work
    sh /src/tests/capi/consumer/deb_guide.sh /src
  '
  rm -rf "$root"
done
