#!/bin/sh
# VARLSTM_SPIN_TRAP: its seconds are those after which a kernel traps, and what is no number of seconds is an error.
#   sh tests/kernels/spin_trap_test.sh NVCC FOLDER       FOLDER is emptied
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
nvcc=$1 folder=$2
rm -rf "$folder"
mkdir -p "$folder"
fail() {
  echo "spin_trap_test.sh: $1" >&2
  exit 1
}

cat >"$folder/wait.cu" <<'CUDA'
#include "kernels/arch/device.h"
extern "C" __global__ void wait_for(const volatile unsigned* word) {
  varlstm::simt::spin_until("a word", [&] { return *word != 0; });
}
CUDA
# ptx NAME OPTION...: the kernel as PTX in FOLDER/NAME.ptx.
ptx() {
  name=$1
  shift
  "$nvcc" -std=c++17 -arch=sm_90a -I"$root" -ptx "$@" "$folder/wait.cu" -o "$folder/$name.ptx"
}
ptx never
! grep -q 'trap' "$folder/never.ptx" || fail "a kernel traps without VARLSTM_SPIN_TRAP"
for seconds in 7 20; do
  ptx $seconds -DVARLSTM_SPIN_TRAP=$seconds
  grep -q 'trap' "$folder/$seconds.ptx" || fail "no kernel traps with VARLSTM_SPIN_TRAP=$seconds"
  grep -q "setp.* ${seconds}000000000;" "$folder/$seconds.ptx" || fail "the limit is not $seconds s"
done

for wrong in ON 2.5 -1 08; do
  ! cmake -S "$root" -B "$folder/build" -DVARLSTM_SPIN_TRAP=$wrong >"$folder/cmake.log" 2>&1 ||
    fail "VARLSTM_SPIN_TRAP=$wrong is taken"
  grep -q "VARLSTM_SPIN_TRAP is $wrong, neither OFF nor" "$folder/cmake.log" || fail "what is wrong with $wrong"
done
