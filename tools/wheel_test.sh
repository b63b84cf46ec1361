#!/bin/sh
# Installs a wheel of tools/wheel.sh in bare systems without a compiler, and runs the guide's programs there, with the
# NumPy of those systems and with Debian's torch; Ubuntu has none, and takes that of PyPI. Needs root, debootstrap and the
# archives of Debian, Ubuntu and PyPI.
#   sh tools/wheel_test.sh WHEEL [SUITE...]    bookworm trixie noble bionic by default; roots are kept in build-wheel/roots
# SPDX-License-Identifier: Apache-2.0
set -eu
[ $# -gt 0 ] && [ -f "$1" ] || { echo "usage: wheel_test.sh WHEEL [SUITE...], no such wheel: ${1:-}" >&2; exit 2; }
wheel=$(realpath "$1")
shift
[ $# -gt 0 ] || set -- bookworm trixie noble bionic
cd "$(dirname "$0")/.."
. tools/bare_root.sh
need_bare_roots wheel_test.sh

for suite in "$@"; do
  printf '\n== %s\n' "$suite"
  root=$PWD/build-wheel/roots/$suite
  if [ "$suite" = bionic ]; then  # its Python is too old, its glibc as old as the wheel allows: every symbol is found
    bare_root bionic "$root"
    python3 -m zipfile -e "$wheel" "$root/wheel"
    # shellcheck disable=SC2016  # the inner shell expands it
    in_root "$root" 'LD_BIND_NOW=1 LD_PRELOAD=$(ls /wheel/varlstm/lib/*) sh -c "ldd --version | head -n 1"'
    continue
  fi
  packages=python3-venv,python3-numpy,python3-pytest
  is_ubuntu "$suite" || packages=$packages,python3-torch
  bare_root "$suite" "$root" $packages
  expect_no_compiler "$suite" "$root"
  rm -rf "$root/src" "$root/venv"
  mkdir -p "$root/src/capi" "$root/src/tests"
  cp capi/*.md "$root/src/capi"
  cp -r tests/python tests/golden "$root/src/tests"
  cp "$wheel" "$root/src"
  in_root "$root" '
    python3 -m venv --system-site-packages /venv
    /venv/bin/python -c "import torch" 2>/dev/null || /venv/bin/pip install -q torch
    /venv/bin/pip install -q --no-index --no-deps /src/*.whl
    cd /src/tests/python
    /venv/bin/python -c "import torch, numpy, varlstm; print(torch.__version__, numpy.__version__, varlstm.build_info())"
    VARLSTM_TEST_BACKEND=host /venv/bin/python -m pytest -q -p no:cacheprovider guide_test.py golden_test.py \
      torch_behaviours_test.py
  '
done
