#!/bin/sh
# tagger_demo_cuda.sh VARLSTM_TAGGER: the demo on the CUDA back end prints what it prints on the host, up to its first epoch
# of Reber strings: all of it takes five minutes where kernels are emulated.
# SPDX-License-Identifier: Apache-2.0
set -u
work=$(mktemp -d) || exit 2
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
"$1" demo >"$work/host" || { echo "the demo fails on the host"; exit 1; }
VARLSTM_EMULATOR_RACES=0 "$1" demo --backend cuda >"$work/cuda" 2>"$work/errors" &
pid=$!
until grep -q '^  epoch  1 ' "$work/cuda"; do
  kill -0 "$pid" 2>/dev/null || { echo "the demo ended early"; cat "$work/cuda" "$work/errors"; exit 1; }
  sleep 1
done
lines=$(grep -n '^  epoch  1 ' "$work/host" | cut -d: -f1)
# The last digits of a loss may differ between back ends.
for side in host cuda; do
  head -n "$lines" "$work/$side" | sed -E 's/(epoch  1  loss [0-9]\.[0-9]{2}).*/\1/' >"$work/$side.begin"
done
cat "$work/cuda.begin"
[ "$lines" -gt 8 ] && cmp "$work/host.begin" "$work/cuda.begin"
