#!/bin/sh
# pkg_config.sh LIBDIR WORK VERSION: builds the C example with its Makefile and the guide's C program as the guide says, and
# runs both. CFLAGS are added to cc's.
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

sed -n '/^```c$/,/^```$/p' "$root/capi/README.md" | sed '/^```/d' >program.c
[ -s program.c ] || { echo "capi/README.md has no C program"; exit 1; }
# shellcheck disable=SC2046,SC2086  # flags are words
cc -std=c11 -Wall -Wextra -Werror ${CFLAGS:-} program.c -o program $(pkg-config --cflags --libs varlstm)
echo "== program"
LD_LIBRARY_PATH=$(pkg-config --variable=libdir varlstm) sh "$root/tests/capi/documentation/capi_guide_program.sh" "$root/capi/README.md" ./program
