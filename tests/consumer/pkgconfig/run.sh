#!/bin/sh
# run.sh LIBDIR WORK VERSION: builds consumer.c and the README's example with nothing but cc and pkg-config, and runs
# both. CFLAGS are added to cc's.
# SPDX-License-Identifier: Apache-2.0
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export PKG_CONFIG_PATH="$1/pkgconfig"
work=$2 version=$3
rm -rf "$work"
mkdir -p "$work"
cd "$work"

found=$(pkg-config --modversion varlstm)
[ "$found" = "$version" ] || { echo "varlstm.pc says version $found, the project is $version"; exit 1; }
LD_LIBRARY_PATH=$(pkg-config --variable=libdir varlstm)
export LD_LIBRARY_PATH

sed -n '/^```c$/,/^```$/p' "$here/../../../README.md" | sed '/^```/d' >readme.c
[ -s readme.c ] || { echo "README.md has no C example"; exit 1; }
cp "$here/../consumer.c" .
for program in consumer readme; do
  # shellcheck disable=SC2046,SC2086  # flags are words
  cc -std=c11 -Wall -Wextra -Werror ${CFLAGS:-} $program.c -o $program $(pkg-config --cflags --libs varlstm) -lm
  echo "== $program"
  ./$program
done
