#!/bin/sh
# Prints the sums in nvcc's PTX whose operand is a product, and fails if there are any. ptxas may join the two, or not, in
# each kernel as it likes. So kernels that must give the same bits have none: they say fma, or what comes between.
# Usage: tools/ptx_sums.sh FILE.ptx...
# SPDX-License-Identifier: Apache-2.0
set -eu

for file in "$@"; do
  [ -s "$file" ] || { echo "there is no $file" >&2; exit 1; }
done
awk -v FS='[ \t,;]+' '
  /^\.visible \.entry|^\.entry|^\.func/ { split("", product) }
  $2 ~ /^mul\.f(32|64)$/ { product[$3] = 1; ++products; next }
  $2 ~ /^(add|sub)\.f(32|64)$/ && (($4 in product) || ($5 in product)) { print FILENAME ":" FNR ":" $0; ++found }
  $3 in product { delete product[$3] }
  END {
    if (products == 0) { print "no product at all: is that PTX of nvcc?"; exit 1 }
    exit found > 0
  }' "$@"
