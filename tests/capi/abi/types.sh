#!/bin/sh
# types.sh LIBRARY HEADER [--renew]: the types of every exported function are those of the baseline libvarlstm.abi.
# LIBRARY must have its debug information. What a handle's struct holds is private and not compared.
# SPDX-License-Identifier: Apache-2.0
set -eu
library=$1 header=$2
baseline=$(dirname "$0")/libvarlstm.abi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

abidw --headers-dir "$(dirname "$header")" --drop-private-types --exported-interfaces-only --no-show-locs \
  --no-corpus-path --no-comp-dir-path --no-architecture --no-elf-needed --type-id-style hash \
  --out-file "$work/libvarlstm.abi" "$library"
functions=$(grep -c '<function-decl ' "$work/libvarlstm.abi") || functions=0
[ "$functions" -eq "$(wc -l <"$(dirname "$0")/exported_symbols.txt")" ] || {
  echo "$library tells the types of $functions functions only: does it lack debug information?"
  exit 1
}
if [ "${3:-}" = --renew ]; then
  cp "$work/libvarlstm.abi" "$baseline"
fi
abidiff --no-architecture --no-corpus-path --fail-no-debug-info "$baseline" "$work/libvarlstm.abi" || {
  echo "the ABI differs from $baseline; if that is meant, renew it: sh $0 $1 $2 --renew"
  exit 1
}
echo "the types of $functions functions are those of the baseline"
