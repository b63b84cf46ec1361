#!/bin/sh
# needed.sh LIBRARY: nothing of CUDA is linked dynamically: LIBRARY loads on a machine without driver, runtime or cuBLAS.
# SPDX-License-Identifier: Apache-2.0
set -eu
needed=$(readelf -d "$1" | sed -nE 's/.*\(NEEDED\).*\[(.*)\]/\1/p')
[ -n "$needed" ] || { echo "readelf names nothing that $1 needs"; exit 1; }
if echo "$needed" | grep -E '^lib(cuda|cudart|cublas|nv)'; then
  echo "$1 does not load without the above"
  exit 1
fi
echo "$needed" | tr '\n' ' '
