#!/bin/sh
# tools/gpu_check.sh over a build folder of programs that only say that they ran: the order of the steps, limits, the time
# of a part and of all, how it goes on, what fails, and the reports.
#   sh tests/kernels/gpu_check_test.sh FOLDER       FOLDER is emptied
# SPDX-License-Identifier: Apache-2.0
set -eu
check=$(cd "$(dirname "$0")/../.." && pwd)/tools/gpu_check.sh
folder=$1
rm -rf "$folder"
mkdir -p "$folder/build/bin" "$folder/tools"
folder=$(cd "$folder" && pwd)

# program NAME TEXT: a program of the build, or, as tools/NAME, of the machine.
program() {
  printf '#!/bin/sh\n%s\n' "$2" >"$folder/$1"
  chmod +x "$folder/$1"
}
program tools/python3 'exit 1'  # without PyTorch
program tools/nvidia-smi 'echo "NVIDIA \"H200\", 1.2, 3 MiB"'
program tools/compute-sanitizer 'while [ "${1#-}" != "$1" ]; do case $1 in --tool|--error-exitcode|--launch-timeout) shift;; esac; shift; done; "$@"'
program build/bin/first_contact_test 'echo "$@"; case $1 in *Tiles.\*) exit 3;; *OperandOrder*) sleep 20;; esac'
for name in simt_conformance exchange_bench varlstm-bench a_test b_test batch_plan_test pack_test embedding_test \
  linear_test log_softmax_test masked_loss_test dropout_test optimizer_test rows_test golden_lstm_test golden_ops_test \
  tutorial_test; do
  program "build/bin/$name" 'exit 0'
done
printf 'a_test\nb_test\n' >"$folder/build/bin/cuda_tests.txt"

# run OUT VAR=value...: the script on that machine.
run() {
  out=$folder/$1
  shift
  env PATH="$folder/tools:$PATH" BUILD="$folder/build" COMMIT=abc "$@" sh "$check" "$out" >"$out.txt" 2>&1
}
fail() {
  echo "gpu_check_test.sh: $1" >&2
  cat "$out.txt" >&2
  exit 1
}
# steps OUT: the names of the steps that stand in the report, in order.
steps() {
  sed -n 's/^| \([a-z]*\) | \([^ ]*\) | .*/\1.\2/p' "$folder/$1/report.md" | grep -v '^step' | tr '\n' ' '
}

! sh "$check" --no-such >"$folder/usage.txt" 2>&1 && grep -q "^usage: gpu_check.sh" "$folder/usage.txt" || {
  echo "gpu_check_test.sh: an unknown option is taken for a folder" >&2
  exit 1
}
! run all LIMIT=2 || fail "two programs fail, but the status is not 1"
first="first.handover first.tiles first.cluster_soak first.grid_soak first.capture first.busy_device first.small_products"
first="$first first.f32_bits first.operand_order first.after_a_failure first.memcheck first.synccheck"
bench="bench.right bench.bf16 bench.f32 bench.tf32 bench.graph bench.operations peers.cudnn peers.cudnn_tf32 peers.torch"
case "$(steps all)" in
  "$first primitives.conformance suite.a_test suite.b_test exchange.exchange_bench $bench memcheck.batch_plan_test "*) ;;
  *) fail "another order: $(steps all)" ;;
esac
grep -q '^| first | tiles | FAILED: status 3 |' "$folder/all/report.md" || fail "tiles failed unseen"
grep -q '^| first | operand_order | FAILED: over 2 s |' "$folder/all/report.md" || fail "a limit that LIMIT lowers"
grep -q '^2 steps failed' "$folder/all/report.md" || fail "two steps failed"
grep -q '^| peers | torch | NOT RUN: python3 has no torch' "$folder/all/report.md" || fail "a peer that is missing"
grep -q 'Handover' "$folder/all/first.handover.log" || fail "the filter of a subject"
python3 - "$folder/all/report.json" <<'PYTHON' || fail "report.json"
import json
import sys
report = json.load(open(sys.argv[1]))
assert report["commit"] == "abc" and "H200" in report["gpu"] and report["failed"] == 2, report
assert report["steps"][0]["program"] == "handover" and report["steps"][1]["result"] == "FAILED: status 3", report
PYTHON

run some ONLY="first suite" SKIP="first.tiles first.operand_order suite.b_test" || fail "ONLY and SKIP"
case "$(steps some)" in
  "first.handover first.cluster_soak "*"first.synccheck suite.a_test ") ;;
  *) fail "ONLY and SKIP leave: $(steps some)" ;;
esac

! run nothing ONLY="primitives suit first.tile" || fail "steps that are not there"
for name in suit first.tile; do
  grep -q "^| only | $name | FAILED: no such step here |" "$folder/nothing/report.md" || fail "$name is no step"
done

program build/bin/a_test 'echo "[==========] Running 0 tests from 0 test suites."'
program build/bin/b_test 'echo "[==========] Running 10 tests from 2 test suites."'
! run filter ONLY=suite || fail "a filter that matches nothing"
grep -q '^| suite | a_test | FAILED: ran 0 tests |' "$folder/filter/report.md" || fail "a filter that matches nothing"
grep -q '^| suite | b_test | ok |' "$folder/filter/report.md" || fail "ten tests"
grep -q '^1 steps failed' "$folder/filter/report.md" || fail "one step failed"

# status OUT VAR=value...: prints the status of run.
status() { run "$@" && echo 0 || echo $?; }

# spends_time SCALE: whether steps end, and are left out, as PART and BUDGET of 2 and 3 SCALE seconds say. Says what not.
spends_time() {
  rm -rf "$folder/time"
  program build/bin/a_test "sleep $((20 * $1))"
  program build/bin/b_test 'exit 0'
  [ "$(status time ONLY="suite exchange bench.right" PART=$((2 * $1)) BUDGET=$((3 * $1)))" = 3 ] || echo "the status"
  for line in "suite | a_test | NOT RUN: time ended it after $((2 * $1)) s |" "suite | b_test | NOT RUN: time was spent |" \
              "exchange | exchange_bench | ok |"; do
    grep -q "^| $line" "$folder/time/report.md" || echo "no line: $line"
  done
  grep -q '^2 steps were not run for want of time' "$folder/time/report.md" || echo "the number of steps without a result"
}
# Seconds pass before a step begins if the machine is busy; so it is tried once more with ten times as many.
wrong=$(spends_time 1)
[ -z "$wrong" ] || wrong=$(spends_time 10)
[ -z "$wrong" ] || fail "steps that end for want of time: $wrong"

program build/bin/a_test 'exit 0'
program build/bin/exchange_bench 'exit 5'
[ "$(status time ONLY="suite exchange")" = 0 ] || fail "it goes on"
[ "$(steps time)" = "suite.a_test suite.b_test exchange.exchange_bench bench.right " ] || fail "the order of the results"
[ "$(grep -c '| ok |' "$folder/time/report.md")" = 4 ] || fail "steps that had no result are run, and no others"
[ "$(status time ONLY="exchange" AGAIN=exchange)" = 1 ] || fail "AGAIN runs a step once more"
grep -q '^| exchange | exchange_bench | FAILED: status 5 |' "$folder/time/report.md" || fail "the last result counts"
[ "$(status time COMMIT=def)" = 2 ] || fail "a folder of another commit"
grep -q 'has the results of commit abc, and this is def' "$folder/time.txt" || fail "which commit it is"
program build/bin/exchange_bench 'exit 0'

program build/bin/b_test "python3 -c 'import json; assert json.load(open(\"$folder/early/report.json\"))[\"steps\"]'"
sed -i 's/^python3 -c/PATH=${PATH#*:} python3 -c/' "$folder/build/bin/b_test"
[ "$(status early ONLY=suite)" = 0 ] || fail "the report has each result as soon as it is there"
program build/bin/b_test 'exit 0'

program tools/cmake 'echo "$@"; exit 1'
! run trap BUILD= TRAP=9 || fail "a configuration that fails"
grep -q -- '-DVARLSTM_SPIN_TRAP=9$' "$folder/trap/build.configure.log" || fail "TRAP"
! run no_trap BUILD= || fail "a configuration that fails"
grep -q -- '-DVARLSTM_SPIN_TRAP=20$' "$folder/no_trap/build.configure.log" || fail "the trap's seconds without TRAP"
