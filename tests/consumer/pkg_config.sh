#!/bin/sh
# pkg_config.sh LIBDIR WORK VERSION: builds the C example with its Makefile and the README's program as the README says,
# and runs both. CFLAGS are added to cc's.
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
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

sed -n '/^```c$/,/^```$/p' "$root/README.md" | sed '/^```/d' >readme.c
[ -s readme.c ] || { echo "README.md has no C example"; exit 1; }
# shellcheck disable=SC2046,SC2086  # flags are words
cc -std=c11 -Wall -Wextra -Werror ${CFLAGS:-} readme.c -o readme $(pkg-config --cflags --libs varlstm)
echo "== readme"
LD_LIBRARY_PATH=$(pkg-config --variable=libdir varlstm) ./readme
