#!/bin/sh
# Everything that only a GPU can show, in one run and one report:
#
#   sh tools/gpu_check.sh [OUT]          OUT: folder of the report and the logs, gpu_check by default
#
# It builds the preset `cuda` (or takes the build folder named by BUILD), checks every emulated primitive against the
# hardware, runs the test programs on the CUDA back end, then compute-sanitizer's memcheck, racecheck, synccheck and
# initcheck, then the benchmarks: varlstm-bench and exchange_bench, whose figures go to OUT/bench.json and
# OUT/exchange.json. Each step has a log; a failed one does not stop the next. OUT/report.md names the commit, the GPU,
# the driver and what failed. Status 0 if nothing did, 1 if something did, 2 without a GPU.
#
#   BUILD=folder          a finished build, for a machine without a compiler; needs bin/ and lib/ of it alone
#   COMMIT=hash           what was built, where the folder is no git checkout
#   SKIP="step ..."       steps to leave out, by the names in the report
#   LIMIT=seconds         for one program, 600 by default
# SPDX-License-Identifier: Apache-2.0
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/gpu_check}
limit=${LIMIT:-600}
skip=" ${SKIP:-} "
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
cd "$root" || exit 2

if ! gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>"$out/nvidia-smi.log"); then
  echo "gpu_check.sh: no GPU here: nvidia-smi is missing or failed" >&2
  exit 2
fi
commit=${COMMIT:-$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)}
[ -z "$(git -C "$root" status --porcelain --untracked-files=no 2>/dev/null)" ] || commit="$commit with local changes"

report=$out/report.md
failed=0
{
  echo "# Check on a GPU"
  echo
  echo "- commit: $commit"
  echo "- GPU, driver, memory: $gpu" | sed 's/$/;/' | tr '\n' ' ' | sed 's/; $//'
  echo
  echo "- date: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  echo
  echo "| step | program | result | seconds |"
  echo "| --- | --- | --- | ---: |"
} >"$report"

# step STEP NAME COMMAND...: one line of the report; the log is OUT/STEP.NAME.log.
step() {
  group=$1 name=$2
  shift 2
  case $skip in *" $group "*) return 0 ;; esac
  start=$(date +%s)
  timeout -k 10 "$limit" "$@" >"$out/$group.$name.log" 2>&1
  status=$?
  case $status in
    0) result=ok ;;
    124 | 137) result="FAILED: over $limit s" ;;
    *) result="FAILED: status $status" ;;
  esac
  [ $status -eq 0 ] || failed=$((failed + 1))
  echo "| $group | $name | $result | $(($(date +%s) - start)) |" >>"$report"
  echo "$group $name: $result"
  return $status
}

if [ -n "${BUILD:-}" ]; then
  build=$(cd "$BUILD" && pwd) || exit 2
else
  build=$root/build-cuda
  step build configure cmake --preset cuda -DVARLSTM_BUILD_TESTS=ON -DVARLSTM_BUILD_BENCH=ON &&
    LIMIT=3600 step build compile cmake --build --preset cuda -j "$(nproc)" || { cat "$report"; exit 1; }
fi
# Programs that were built elsewhere look for the library and the golden files where they were built.
export LD_LIBRARY_PATH="$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export VARLSTM_TEST_DIR="$root/tests"
export VARLSTM_TEST_BACKEND=cuda

step primitives conformance "$build/bin/simt_conformance"

while read -r program; do
  step suite "$program" "$build/bin/$program"
done <"$build/bin/cuda_tests.txt"

# Small cases are enough here: the tools slow a program down by a factor of ten and more.
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck synccheck initcheck; do
    for program in batch_plan_test pack_test embedding_test linear_test log_softmax_test masked_loss_test dropout_test \
      optimizer_test golden_lstm_test golden_ops_test tutorial_test; do
      step "$tool" "$program" compute-sanitizer --tool $tool --error-exitcode 9 --launch-timeout 60 \
        "$build/bin/$program"
    done
  done
else
  echo "| sanitizers | | NOT RUN: compute-sanitizer is missing | |" >>"$report"
fi

[ ! -x "$build/bin/varlstm-bench" ] ||
  step bench lstm "$build/bin/varlstm-bench" --lstm --backend=cuda --mode=cbp --batch="$root/bench/problems/tiny.txt" \
    --dir=fwd,bwd,train --dtype=f32,f64,bf16,f16 --lens=uniform:0:40 --seconds=0.1 --json="$out/lstm.json"
[ ! -x "$build/bin/varlstm-bench" ] ||
  step bench varlstm-bench env VARLSTM_BENCH_BACKEND=cuda "$build/bin/varlstm-bench" --benchmark_out="$out/bench.json" \
    --benchmark_out_format=json
[ ! -x "$build/bin/exchange_bench" ] ||
  step bench exchange_bench "$build/bin/exchange_bench" --out "$out/exchange.json"

{
  echo
  if [ $failed -eq 0 ]; then echo "Nothing failed."; else echo "$failed steps failed; their logs stand beside this file."; fi
} >>"$report"
cat "$report"
[ $failed -eq 0 ]
