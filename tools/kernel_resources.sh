#!/bin/sh
# Registers, shared memory and spills of every kernel, from ptxas for sm_90a: a table on standard output and in
# OUT/kernel_resources.txt.
#   sh tools/kernel_resources.sh [OUT [BUILD]]    OUT is build/kernel_resources if it is not given
# BUILD is a configured build (build-emulated if it is not given): CMake fills in some kernel sources there. The status is 1
# if a kernel spills, 0 otherwise; without nvcc the script prints one line and ends with 0. ARCH overrides the architecture.
# PTX=folder takes nvcc's finished PTX of the kernels from there (a build with tests has it in ptx/) and spares compiling
# them once more; OUT then keeps the machine code, which tools/sass_check.py looks at.
# SPDX-License-Identifier: Apache-2.0
set -eu
case ${1:-} in -*) echo "usage: kernel_resources.sh [OUT [BUILD]], not: $*" >&2; exit 2 ;; esac
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/build/kernel_resources}
build=${2:-$root/build-emulated}
arch=${ARCH:-sm_90a}
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
if [ ! -x "$nvcc" ]; then
  echo "kernel_resources.sh: no nvcc here, registers and spills were not looked at"
  exit 0
fi
mkdir -p "$out"

# resources FILE: ptxas's report on one kernel source. Kept for as long as nothing that it may include is newer.
resources() {
  log=$out/$(basename "$1").log
  if [ -f "$log" ] && [ -z "$(find "$root/kernels" "$root/capi/include" -newer "$log" \( -name '*.h' -o -path "$1" \))" ]; then
    return
  fi
  if ! "$nvcc" -std=c++17 -arch="$arch" -O3 -I"$root" -I"$root/capi/include" -Xptxas -v -c "$1" -o /dev/null \
    >"$log.new" 2>&1; then
    cat "$log.new" >&2
    exit 2
  fi
  mv "$log.new" "$log"
}

# resources_of_ptx FILE: the same of finished PTX, and OUT/<name>.cubin.
resources_of_ptx() {
  if ! "$(dirname "$nvcc")/ptxas" -arch="$arch" -O3 -v "$1" -o "$out/$(basename "$1" .ptx).cubin" \
    >"$out/$(basename "$1").log" 2>&1; then
    cat "$out/$(basename "$1").log" >&2
    exit 2
  fi
}

if [ -n "${PTX:-}" ]; then
  rm -f "$out"/*.log "$out"/*.cubin
  for file in "$PTX"/*.ptx; do resources_of_ptx "$file"; done
else
  if [ ! -d "$build/kernels/recurrence" ]; then
    echo "kernel_resources.sh: $build is no configured build with kernels: cmake --preset emulated makes one" >&2
    exit 2
  fi
  for source in $(find "$root/kernels" "$build/kernels/recurrence" -name '*.cu' | sort); do resources "$source"; done
fi

# One line a kernel: what follows «Compiling entry function 'name'» belongs to it.
cat "$out"/*.log | awk '
  /Compiling entry function/ { split($0, quoted, "\x27"); name = quoted[2] }
  /bytes stack frame/ { stack = $1; stores = $5; loads = $9 }
  /Used [0-9]+ registers/ {
    registers = shared = 0
    for (k = 1; k <= NF; ++k) {
      if ($k == "registers,") registers = $(k - 1)
      if ($k == "smem,") shared = $(k - 2)
    }
    printf "%s %d %d %d %d\n", name, registers, shared, stack, stores + loads
  }' | c++filt -p | sort >"$out/table"
{
  printf '%9s %12s %11s %11s  %s\n' registers 'shared bytes' 'stack bytes' 'spill bytes' kernel
  awk '{ spill = $NF; stack = $(NF - 1); shared = $(NF - 2); registers = $(NF - 3)
         name = $0; sub(/ [0-9]+ [0-9]+ [0-9]+ [0-9]+$/, "", name)
         printf "%9d %12d %11d %11d  %s\n", registers, shared, stack, spill, name }' "$out/table"
} | tee "$out/kernel_resources.txt"
[ -s "$out/table" ] || { echo "kernel_resources.sh: ptxas named no kernel" >&2; exit 2; }
awk '$NF > 0 { found = 1; print "spills: " $0 } END { exit found }' "$out/table" ||
  { echo "kernel_resources.sh: kernels spill registers" >&2; exit 1; }
echo "kernel_resources.sh: $(wc -l <"$out/table") kernels for $arch, none spills"
