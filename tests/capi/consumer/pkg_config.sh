#!/bin/sh
# pkg_config.sh LIBDIR WORK VERSION: builds the C example with its Makefile and the guide's C programs as the guide says, and
# runs them. CFLAGS are added to cc's.
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
export PKG_CONFIG_PATH="$1/pkgconfig"
work=$2 version=$3
rm -rf "$work"
mkdir -p "$work"
cd "$work"

found=$(pkg-config --modversion varlstm)
[ "$found" = "$version" ] || { echo "varlstm.pc says version $found, the project is $version"; exit 1; }

make -f "$root/capi/examples/c/Makefile" "VPATH=$root/capi/examples/c" "CFLAGS=-Werror ${CFLAGS:-}"
echo "== recall"
./recall

for page in README CELLS; do
  sed -n '/^```c$/,/^```$/p' "$root/capi/$page.md" | sed '/^```/d' >$page.c
  [ -s $page.c ] || { echo "capi/$page.md has no C program"; exit 1; }
  # shellcheck disable=SC2046,SC2086  # flags are words
  cc -std=c11 -Wall -Wextra -Werror ${CFLAGS:-} $page.c -o $page $(pkg-config --cflags --libs varlstm)
  echo "== $page"
  LD_LIBRARY_PATH=$(pkg-config --variable=libdir varlstm) sh "$root/tests/capi/documentation/capi_guide_program.sh" \
    "$root/capi/$page.md" ./$page
done
