#!/bin/sh
# Installs a wheel of tools/wheel.sh in bare systems without a compiler, and runs the guide's programs there, with the
# NumPy of those systems and with Debian's torch; Ubuntu has none, and takes that of PyPI. Needs root, debootstrap and the
# archives of Debian, Ubuntu and PyPI.
#   sh tools/wheel_test.sh WHEEL [SUITE...]    bookworm trixie noble by default; roots are kept in build-wheel/roots
# SPDX-License-Identifier: Apache-2.0
set -eu
[ $# -gt 0 ] && [ -f "$1" ] || { echo "usage: wheel_test.sh WHEEL [SUITE...], no such wheel: ${1:-}" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "wheel_test.sh: only root can make the roots" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "wheel_test.sh: apt-get install debootstrap" >&2; exit 2; }
wheel=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie noble
cd "$(dirname "$0")/.."

# archive SUITE: its address, the parts that are needed, debootstrap's script for it, and the packages.
archive() {
  packages=python3-venv,python3-numpy,python3-pytest,ca-certificates
  case $1 in
    noble | jammy) echo http://archive.ubuntu.com/ubuntu main,universe gutsy "$packages" ;;
    *) echo http://deb.debian.org/debian main sid "$packages,python3-torch" ;;
  esac
}

for suite in "$@"; do
  printf '\n== %s\n' "$suite"
  root=$PWD/build-wheel/roots/$suite
  if ! [ -e "$root.made" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    # shellcheck disable=SC2046  # four words
    set -- $(archive "$suite")
    debootstrap --variant=minbase --no-check-gpg --components="$2" --include="$4" "$suite" "$root" "$1" "$3" >"$root.log" ||
      { tail "$root.log"; exit 1; }
    touch "$root.made"
  fi
  if chroot "$root" sh -c 'command -v cc || command -v g++'; then
    echo "$suite has a compiler: this would not show that none is needed" >&2
    exit 1
  fi
  rm -rf "$root/src" "$root/venv"
  mkdir -p "$root/src/capi" "$root/src/tests"
  cp capi/*.md "$root/src/capi"
  cp -r tests/python tests/golden "$root/src/tests"
  cp "$wheel" "$root/src"
  cp /etc/resolv.conf "$root/etc"
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs"
  mkdir -p "$root/proc"
  # shellcheck disable=SC2016  # the inner shell expands it
  unshare -m sh -euc 'mount -t proc proc "$0/proc"; exec chroot "$0" sh -euc "$1"' "$root" '
    python3 -m venv --system-site-packages /venv
    /venv/bin/python -c "import torch" 2>/dev/null || /venv/bin/pip install -q torch
    /venv/bin/pip install -q --no-index --no-deps /src/*.whl
    cd /src/tests/python
    /venv/bin/python -c "import torch, numpy, varlstm; print(torch.__version__, numpy.__version__, varlstm.build_info())"
    VARLSTM_TEST_BACKEND=host /venv/bin/python -m pytest -q -p no:cacheprovider guide_test.py golden_test.py \
      torch_behaviours_test.py
  '
done
