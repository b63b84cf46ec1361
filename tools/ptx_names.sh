#!/bin/sh
# ptx_names.sh PTX_FOLDER OBJECT...: the kernels of varlstm::cuda must have the same mangled names in nvcc's PTX and in
# the emulated build's objects or library (there, every function of that namespace called *_kernel is one). Prints the
# names that one side lacks, and ends with status 1 if there is one or no kernel at all. CUB's own kernels do not count.
# SPDX-License-Identifier: Apache-2.0
set -u
[ $# -ge 2 ] || { echo "usage: ptx_names.sh PTX_FOLDER OBJECT..."; exit 2; }
folder=$1
shift
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
cat "$folder"/*.ptx | sed -nE 's/^.*\.entry ([A-Za-z0-9_$]+).*$/\1/p' | grep '^_ZN7varlstm4cuda' | sort -u >"$work/ptx"
nm "$@" | awk 'NF == 3 && $2 ~ /^[TtWw]$/ && $3 !~ /\./ { print $3 }' | sort -u >"$work/objects"
[ -s "$work/ptx" ] || { echo "no kernel in $folder/*.ptx"; exit 1; }
grep -E '^_ZN7varlstm4cuda[0-9]+[a-z0-9_]+_kernel[IE]' "$work/objects" >"$work/kernels"
{
  comm -23 "$work/ptx" "$work/objects" | sed 's/^/not in the emulated build: /'
  comm -13 "$work/ptx" "$work/kernels" | sed 's/^/not in the PTX: /'
} >"$work/findings"
if [ -s "$work/findings" ]; then
  cat "$work/findings"
  exit 1
fi
echo "$(wc -l <"$work/ptx") kernels have one name in both builds"
