#!/bin/sh
# Everything that only a GPU can show, in one report:
#
#   sh tools/gpu_check.sh [OUT]          OUT: folder of the report and the logs, gpu_check by default
#
# It builds the preset `cuda` with the trap that ends a wait on the device (VARLSTM_SPIN_TRAP), or takes the build folder
# named by BUILD. Then these parts follow, in this order:
#
#   first       the first tests on a GPU (tests/kernels/first_contact): ten subjects, a line and a time limit each; then
#               compute-sanitizer's memcheck and synccheck over small ones
#   primitives  every emulated primitive against the hardware
#   suite       the test programs on the CUDA back end
#   exchange    exchange_bench: clusters that are resident at a time, what the exchanges between blocks are made of
#   bench       varlstm-bench: whether recurrent problems are right, then their times, then single operations
#   peers       the same recurrent problems in cuDNN and in PyTorch, where this machine has them
#   memcheck, racecheck, synccheck, initcheck    compute-sanitizer over small test programs
#
# Each part has at most PART seconds, and each step of it has a log; a failed step does not stop the next. The report is
# written anew after each step, so nothing is lost if the machine goes away. **The same command again goes on**: it runs
# the steps that have no result yet, because their part's or the whole time was spent. Example: a suite of 6 minutes takes
# two runs of 4 minutes. AGAIN names steps that are to be run once more.
#
# OUT/report.md names the commit, the GPU, the driver and what failed, OUT/report.json has the same steps; test programs
# write OUT/STEP.NAME.json, the benchmarks a JSON file each. A program of tests whose filter matches none has failed. Status 0 if nothing failed and all has run, 1 if
# something failed, 3 if something was not run for want of time, 2 without a GPU or if OUT has another commit's results.
#
#   BUILD=folder          a finished build, for a machine without a compiler; needs bin/ and lib/ of it alone
#   COMMIT=hash           what was built, where the folder is no git checkout
#   SKIP="step ..."       steps to leave out, by the names above, or single ones as step.name: first.grid_soak
#   ONLY="step ..."       all others are left out; a name that is no step's fails
#   AGAIN="step ..."      run these even if OUT has their results
#   PART=seconds          for one part, 240 by default; 0: no limit
#   LIMIT=seconds         for one program, 120 by default; the first tests have limits of their own, which it may lower
#   TRAP=seconds          after which a wait on the device ends its kernel, 20 by default: many times what one takes under
#                         compute-sanitizer, and less than the shortest limit of a step; 0: never
#   BUDGET=seconds        for all: a step that would begin later is not run, and one that runs is ended then
#
# Fifteen minutes of a GPU, with a build from elsewhere, in two calls of seven:
#
#   BUILD=build-cuda BUDGET=420 sh tools/gpu_check.sh OUT
# SPDX-License-Identifier: Apache-2.0
set -u
case ${1:-} in -*) echo "usage: gpu_check.sh [OUT], not: $*" >&2; exit 2 ;; esac
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/gpu_check}
limit=${LIMIT:-120} part_limit=${PART:-240} budget=${BUDGET:-0}
skip=" ${SKIP:-} " only=" ${ONLY:-} " again=" ${AGAIN:-} " names=" "
begin=$(date +%s) part="" part_begin=$(date +%s)
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
if [ -f "$out/commit" ] && [ "$(cat "$out/commit")" != "$commit" ]; then
  echo "gpu_check.sh: $out has the results of commit $(cat "$out/commit"), and this is $commit: name another folder" >&2
  exit 2
fi
echo "$commit" >"$out/commit"

# One line a step: part, name, result and seconds, with tabs between them. A step that was run again has its last line.
results=$out/results.tsv
touch "$results"
tab=$(printf '\t')

# results_of_all: the last result of each step, in the order of their first ones.
results_of_all() {
  awk -F '\t' '{ key = $1 "\t" $2; if (!(key in last)) order[++count] = key; last[key] = $0 }
    END { for (k = 1; k <= count; ++k) print last[order[k]] }' "$results"
}
# count PATTERN: how many steps have a result that begins with it.
count() { results_of_all | cut -f 3 | grep -c "^$1"; }

write_report() {
  failed=$(count FAILED) missed=$(count "NOT RUN: time")
  {
    printf '# Check on a GPU\n\n- commit: %s\n- GPU, driver, memory: %s\n- date: %s\n\n' "$commit" \
      "$(echo "$gpu" | tr '\n' ';' | sed 's/;$//; s/;/; /g')" "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    printf '| step | program | result | seconds |\n| --- | --- | --- | ---: |\n'
    results_of_all | awk -F '\t' '{ print "| " $1 " | " $2 " | " $3 " | " $4 " |" }'
    echo
    sed -n 's/^first contact: \(.*\)$/The first tests: \1./p' "$out"/first.*.log 2>/dev/null | head -n 1
    if [ "$failed" -eq 0 ]; then echo "Nothing failed."; else echo "$failed steps failed; their logs are beside this file."; fi
    [ "$missed" -eq 0 ] || echo "$missed steps were not run for want of time; the same command again goes on with them."
  } >"$out/report.md.new" && mv "$out/report.md.new" "$out/report.md"
  {
    printf '{"commit": "%s", "gpu": "%s", "failed": %s, "not_run": %s, "steps": [' "$commit" \
      "$(printf %s "$gpu" | tr '\n"' '; ')" "$failed" "$missed"
    results_of_all | awk -F '\t' '{ printf "%s\n  {\"step\": \"%s\", \"program\": \"%s\", \"result\": \"%s\", \"seconds\": %s}",
      (NR > 1 ? "," : ""), $1, $2, $3, ($4 == "" ? "null" : $4) }'
    printf '\n]}\n'
  } >"$out/report.json.new" && mv "$out/report.json.new" "$out/report.json"
}

# note PART NAME RESULT SECONDS: a result, which is in the report from now on.
note() {
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$results"
  write_report
  echo "$1 $2: $3"
}

# is_wanted PART NAME: false if SKIP or ONLY leaves it out, or if it has a result and AGAIN does not name it.
is_wanted() {
  case $skip in *" $1 "* | *" $1.$2 "*) return 1 ;; esac
  case $only in "  " | *" $1 "* | *" $1.$2 "*) ;; *) [ "$1" = build ] || return 1 ;; esac
  case $again in *" $1 "* | *" $1.$2 "*) return 0 ;; esac
  [ "$1" = build ] && return 0
  case $(results_of_all | grep "^$1$tab$2$tab" | cut -f 3) in "" | "NOT RUN"*) return 0 ;; *) return 1 ;; esac
}

# seconds_left LIMIT SINCE: of a limit, 0 for none, that began then; nothing if there is no limit.
seconds_left() { [ "$1" -eq 0 ] || echo $(($2 + $1 - $(date +%s))); }

# step_within SECONDS PART NAME COMMAND...: the log is OUT/PART.NAME.log.
step_within() {
  seconds=$1 group=$2 name=$3
  shift 3
  names="$names$group $group.$name "
  [ "$group" = "$part" ] || part=$group part_begin=$(date +%s)
  is_wanted "$group" "$name" || return 0
  cut=""
  [ "$group" = build ] || for left in $(seconds_left "$part_limit" "$part_begin") $(seconds_left "$budget" "$begin"); do
    [ "$left" -ge "$seconds" ] || { seconds=$left cut=yes; }
  done
  if [ "$seconds" -le 0 ]; then
    note "$group" "$name" "NOT RUN: time was spent" ""
    return 1
  fi
  start=$(date +%s)
  timeout -k 10 "$seconds" "$@" </dev/null >"$out/$group.$name.log" 2>&1
  status=$?
  [ $status -ne 0 ] || ! grep -q '^\[==========\] Running 0 tests' "$out/$group.$name.log" || status=no_tests
  case $status in
    0) result=ok ;;
    no_tests) result="FAILED: ran 0 tests" status=1 ;;
    124 | 137) if [ -n "$cut" ]; then result="NOT RUN: time ended it after $seconds s"; else result="FAILED: over $seconds s"; fi ;;
    *) result="FAILED: status $status" ;;
  esac
  note "$group" "$name" "$result" $(($(date +%s) - start))
  return $status
}
step() { step_within "$limit" "$@"; }

# test_within SECONDS PART NAME COMMAND...: a program of tests, whose results go to OUT/PART.NAME.json as well.
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

# missing PART NAME WHY: a step that this machine cannot run.
missing() {
  names="$names$1 $1.$2 "
  ! is_wanted "$1" "$2" || note "$1" "$2" "NOT RUN: $3" ""
}

if [ -n "${BUILD:-}" ]; then
  build=$(cd "$BUILD" && pwd) || exit 2
else
  build=$root/build-cuda
  step build configure cmake --preset cuda -DVARLSTM_BUILD_TESTS=ON -DVARLSTM_BUILD_BENCH=ON -DVARLSTM_SPIN_TRAP="${TRAP:-20}" &&
    step_within 3600 build compile cmake --build --preset cuda -j "$(nproc)" || { cat "$out/report.md"; exit 1; }
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
for tool in memcheck synccheck; do
  if [ -n "$have_sanitizer" ]; then
    step_within 60 first $tool env VARLSTM_FIRST_CONTACT=small compute-sanitizer --tool $tool --error-exitcode 9 \
      --launch-timeout 60 "$build/bin/first_contact_test" --gtest_filter='Handover.*:Tiles.*:*Soak.*'
  else
    missing first $tool "compute-sanitizer is missing"
  fi
done

test_within "$limit" primitives conformance "$build/bin/simt_conformance"

while read -r program; do
  test_within "$limit" suite "$program" "$build/bin/$program"
done <"$build/bin/cuda_tests.txt"

[ ! -x "$build/bin/exchange_bench" ] ||
  step exchange exchange_bench "$build/bin/exchange_bench" --out "$out/exchange.json"

if [ -x "$build/bin/varlstm-bench" ]; then
  lstm="$build/bin/varlstm-bench --lstm --backend=cuda"
  problems="--batch=$root/bench/problems/sweep.txt --dir=fwd,train --lens=ewt,lognormal --seconds=0.05"
  # shellcheck disable=SC2086  # words of a command
  {
    step bench right $lstm --mode=cb --batch="$root/bench/problems/tiny.txt" --dir=fwd,bwd,train --dtype=f32,f64,bf16,f16 \
      --lens=uniform:0:40
    step bench bf16 $lstm --mode=p $problems --dtype=bf16 --json="$out/bf16.json"
    step bench f32 $lstm --mode=p $problems --dtype=f32 --json="$out/f32.json"
    step bench tf32 $lstm --mode=p $problems --math=tf32 --json="$out/tf32.json"
    step bench graph $lstm --mode=p $problems --dtype=bf16 --graph --json="$out/graph.json"
    step bench operations env VARLSTM_BENCH_BACKEND=cuda "$build/bin/varlstm-bench" --benchmark_min_time=0.05 \
      --benchmark_out="$out/operations.json" --benchmark_out_format=json
    # PyTorch's package of cuDNN will do.
    cudnn=$(python3 -c 'import nvidia.cudnn; print(list(nvidia.cudnn.__path__)[0] + "/lib")' 2>/dev/null)
    [ -z "$cudnn" ] || LD_LIBRARY_PATH="$LD_LIBRARY_PATH:$cudnn"
    step peers cudnn $lstm --mode=p $problems --dtype=bf16 --peer=cudnn --json="$out/cudnn.json"
    step peers cudnn_tf32 $lstm --mode=p $problems --math=tf32 --peer=cudnn --json="$out/cudnn_tf32.json"
    if python3 -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
      step peers torch python3 bench/peers/torch_cuda.py $problems --dtype=bf16 --json="$out/torch.json"
    else
      missing peers torch "python3 has no torch that sees the GPU"
    fi
  }
fi

# Small cases are enough here: the tools slow a program down by a factor of ten and more.
for tool in memcheck racecheck synccheck initcheck; do
  for program in batch_plan_test pack_test embedding_test linear_test log_softmax_test masked_loss_test dropout_test \
    optimizer_test rows_test golden_lstm_test golden_ops_test tutorial_test; do
    if [ -n "$have_sanitizer" ]; then
      step $tool "$program" compute-sanitizer --tool $tool --error-exitcode 9 --launch-timeout 60 "$build/bin/$program"
    else
      missing $tool "$program" "compute-sanitizer is missing"
    fi
  done
done

for name in $only $again; do
  case $names in *" $name "*) ;; *) note only "$name" "FAILED: no such step here" "" ;; esac
done

write_report
cat "$out/report.md"
[ "$failed" -eq 0 ] || exit 1
[ "$missed" -eq 0 ] && [ "$(count "NOT RUN: time")" -eq 0 ] || exit 3
