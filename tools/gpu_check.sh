#!/bin/sh
# Everything that only a GPU can show, in one run and one report:
#
#   sh tools/gpu_check.sh [OUT]          OUT: folder of the report and the logs, gpu_check by default
#
# It builds the preset `cuda` with the trap that ends a wait on the device (VARLSTM_SPIN_TRAP), or takes the build folder
# named by BUILD. Then, in this order:
#
#   first       the first tests on a GPU (tests/kernels/first_contact): ten subjects, a line and a time limit each, four minutes
#               together by their shapes; then compute-sanitizer's memcheck and synccheck over small ones
#   exchange    exchange_bench: clusters that are resident at a time, the exchanges between blocks
#   primitives  every emulated primitive against the hardware
#   suite       the test programs on the CUDA back end
#   memcheck, racecheck, synccheck, initcheck    compute-sanitizer over small test programs
#   bench       varlstm-bench: recurrent problems, then single operations
#
# Each step has a log; a failed one does not stop the next. A program of tests whose filter matches none has failed.
# OUT/report.md names the commit, the GPU, the driver and what failed, OUT/report.json has the same steps; test programs write
# OUT/STEP.NAME.json, exchange_bench exchange.json, varlstm-bench lstm.json and bench.json. Status 0 if nothing failed, 1 if
# something did, 2 without a GPU.
#
#   BUILD=folder          a finished build, for a machine without a compiler; needs bin/ and lib/ of it alone
#   COMMIT=hash           what was built, where the folder is no git checkout
#   SKIP="step ..."       steps to leave out, by the names above, or single ones as step.name: first.grid_soak
#   ONLY="step ..."       all others are left out; a name that is no step's fails
#   LIMIT=seconds         for one program, 600 by default; the first tests have limits of their own, which it may lower
#   TRAP=seconds          after which a wait on the device ends its kernel, 20 by default: many times what one takes under
#                         compute-sanitizer, and less than the shortest limit of a step; 0: never
#   BUDGET=seconds        for all: a step that would begin later is not run, and one that runs is ended then
#
# Fifteen minutes of a GPU, with a build from elsewhere: the first tests and the exchange, and as much of the suite as the
# time allows; a second run, SKIP="first exchange", takes up the rest:
#
#   BUILD=build-cuda BUDGET=840 LIMIT=120 ONLY="first exchange primitives suite" sh tools/gpu_check.sh OUT
# SPDX-License-Identifier: Apache-2.0
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/gpu_check}
limit=${LIMIT:-600}
budget=${BUDGET:-0}
skip=" ${SKIP:-} " only=" ${ONLY:-} " names=" "
begin=$(date +%s)
mkdir -p "$out" || exit 2
out=$(cd "$out" && pwd)
cd "$root" || exit 2

if ! gpu=$(nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>"$out/nvidia-smi.log"); then
  echo "gpu_check.sh: no GPU here: nvidia-smi is missing or failed" >&2
  exit 2
fi
commit=${COMMIT:-}
if [ -z "$commit" ]; then
  commit=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
  [ -z "$(git -C "$root" status --porcelain --untracked-files=no 2>/dev/null)" ] || commit="$commit with local changes"
fi

report=$out/report.md
steps=$out/steps.json
: >"$steps"
failed=0 missed=0
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

# is_wanted STEP NAME: false where SKIP or ONLY leaves it out.
is_wanted() {
  case $skip in *" $1 "* | *" $1.$2 "*) return 1 ;; esac
  case $only in "  " | *" $1 "* | *" $1.$2 "*) return 0 ;; esac
  [ "$1" = build ]
}

# note STEP NAME RESULT SECONDS: one line of the report.
note() {
  echo "| $1 | $2 | $3 | $4 |" >>"$report"
  printf '%s\n  {"step": "%s", "program": "%s", "result": "%s", "seconds": %s}' "$([ -s "$steps" ] && echo ,)" \
    "$1" "$2" "$3" "${4:-null}" >>"$steps"
  echo "$1 $2: $3"
}

# step_within SECONDS STEP NAME COMMAND...: the log is OUT/STEP.NAME.log.
step_within() {
  seconds=$1 group=$2 name=$3
  shift 3
  names="$names$group $group.$name "
  is_wanted "$group" "$name" || return 0
  start=$(date +%s)
  if [ "$budget" -gt 0 ]; then
    left=$((begin + budget - start))
    if [ $left -le 0 ]; then
      missed=$((missed + 1))
      note "$group" "$name" "NOT RUN: the budget of $budget s is spent" ""
      return 1
    fi
    [ $left -ge "$seconds" ] || seconds=$left
  fi
  timeout -k 10 "$seconds" "$@" </dev/null >"$out/$group.$name.log" 2>&1
  status=$?
  [ $status -ne 0 ] || ! grep -q '^\[==========\] Running 0 tests' "$out/$group.$name.log" || status=no_tests
  case $status in
    0) result=ok ;;
    no_tests) result="FAILED: ran 0 tests" status=1 ;;
    124 | 137) result="FAILED: over $seconds s" ;;
    *) result="FAILED: status $status" ;;
  esac
  [ $status -eq 0 ] || failed=$((failed + 1))
  note "$group" "$name" "$result" $(($(date +%s) - start))
  return $status
}
step() { step_within "$limit" "$@"; }

# test_within SECONDS STEP NAME COMMAND...: a program of tests, whose results go to OUT/STEP.NAME.json as well.
test_within() {
  seconds=$1 group=$2 name=$3
  shift 3
  step_within "$seconds" "$group" "$name" env GTEST_OUTPUT="json:$out/$group.$name.json" "$@"
}

# first NAME SECONDS SUITE: a subject of the first tests.
first() {
  [ "$2" -le "$limit" ] && own=$2 || own=$limit
  test_within "$own" first "$1" "$build/bin/first_contact_test" --gtest_filter="$3.*"
}

if [ -n "${BUILD:-}" ]; then
  build=$(cd "$BUILD" && pwd) || exit 2
else
  build=$root/build-cuda
  step build configure cmake --preset cuda -DVARLSTM_BUILD_TESTS=ON -DVARLSTM_BUILD_BENCH=ON -DVARLSTM_SPIN_TRAP="${TRAP:-20}" &&
    step_within 3600 build compile cmake --build --preset cuda -j "$(nproc)" || { cat "$report"; exit 1; }
fi
# Programs that were built elsewhere look for the library and the golden files where they were built.
export LD_LIBRARY_PATH="$build/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export VARLSTM_TEST_DIR="$root/tests"
export VARLSTM_TEST_BACKEND=cuda
have_sanitizer=$(command -v compute-sanitizer || true)

first handover 60 Handover
first tiles 60 Tiles
first cluster_soak 120 ClusterSoak
first grid_soak 90 GridSoak
first capture 60 FirstCapture
first busy_device 60 BusyDevice
first small_products 30 SmallProducts
first f32_bits 30 F32Bits
first operand_order 30 OperandOrder
first after_a_failure 30 AfterAFailure
if [ -n "$have_sanitizer" ]; then
  for tool in memcheck synccheck; do
    step_within 60 first $tool env VARLSTM_FIRST_CONTACT=small compute-sanitizer --tool $tool --error-exitcode 9 \
      --launch-timeout 60 "$build/bin/first_contact_test" --gtest_filter='Handover.*:Tiles.*:*Soak.*'
  done
fi

[ ! -x "$build/bin/exchange_bench" ] ||
  step exchange exchange_bench "$build/bin/exchange_bench" --out "$out/exchange.json"

test_within "$limit" primitives conformance "$build/bin/simt_conformance"

while read -r program; do
  test_within "$limit" suite "$program" "$build/bin/$program"
done <"$build/bin/cuda_tests.txt"

# Small cases are enough here: the tools slow a program down by a factor of ten and more.
if [ -n "$have_sanitizer" ]; then
  for tool in memcheck racecheck synccheck initcheck; do
    for program in batch_plan_test pack_test embedding_test linear_test log_softmax_test masked_loss_test dropout_test \
      optimizer_test golden_lstm_test golden_ops_test tutorial_test; do
      step "$tool" "$program" compute-sanitizer --tool $tool --error-exitcode 9 --launch-timeout 60 \
        "$build/bin/$program"
    done
  done
else
  note sanitizers "" "NOT RUN: compute-sanitizer is missing" ""
fi

[ ! -x "$build/bin/varlstm-bench" ] ||
  step bench lstm "$build/bin/varlstm-bench" --lstm --backend=cuda --mode=cbp --batch="$root/bench/problems/tiny.txt" \
    --dir=fwd,bwd,train --dtype=f32,f64,bf16,f16 --lens=uniform:0:40 --seconds=0.1 --json="$out/lstm.json"
[ ! -x "$build/bin/varlstm-bench" ] ||
  step bench varlstm-bench env VARLSTM_BENCH_BACKEND=cuda "$build/bin/varlstm-bench" --benchmark_out="$out/bench.json" \
    --benchmark_out_format=json

for name in $only; do
  case $names in *" $name "*) ;; *)
    failed=$((failed + 1))
    note only "$name" "FAILED: no such step here" ""
    ;;
  esac
done

{
  echo
  sed -n 's/^first contact: \(.*\)$/The first tests: \1./p' "$out"/first.*.log 2>/dev/null | head -n 1
  if [ $failed -eq 0 ]; then echo "Nothing failed."; else echo "$failed steps failed; their logs stand beside this file."; fi
  [ $missed -eq 0 ] || echo "$missed steps were not run: the budget of $budget s was spent."
} >>"$report"
{
  printf '{"commit": "%s", "gpu": "%s", "failed": %s, "not_run": %s, "steps": [' "$commit" \
    "$(printf %s "$gpu" | tr '\n"' '; ')" $failed $missed
  cat "$steps"
  printf '\n]}\n'
} >"$out/report.json"
rm -f "$steps"
cat "$report"
[ $failed -eq 0 ]
