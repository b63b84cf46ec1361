#!/bin/sh
# Builds everything and runs every test, on the host back end and on the CUDA back end, whose kernels are executed on the
# CPU: first under AddressSanitizer and UndefinedBehaviorSanitizer, then the release build with the race detector, whose
# summary by ctest ends the output. It ends at once, with a status other than 0, if something fails.
#   sh tools/test.sh           everything
#   sh tools/test.sh --quick   one build, in build-quick, without sanitizers and without nvcc, and more than half of the
#                              tests: those that take seconds
# SPDX-License-Identifier: Apache-2.0
set -eu
case "$*" in
  "") quick=no ;;
  --quick) quick=yes ;;
  *) echo "usage: test.sh [--quick], not: $*" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
. tools/packages.sh
# shellcheck disable=SC2086  # one word a package
need_packages $BUILD_PACKAGES $TEST_PACKAGES

# What --quick passes over: programs that run once more in another way, and those that take many seconds.
again='wide|widest[0-9a-z_]*|late|grid|stepwise|block|warp|lanes8|cublas|lifo|random3|pct2|baseline|avx2'
on_cuda='lstm_gradient|lstm_reference|chain|invariance|isolation|linear|linear_cross_entropy|masked_loss'
on_cuda="$on_cuda|abi_fuzz|capi_arguments|capi_threads|tagger_network"
whole='runtime_fault|resident_recurrence|resident_schedules|resident_isolation|resident_layers|schedules|device_step'
long="\.($again)\$|^($on_cuda)_test\.cuda\$|^($whole)_test\$|^consumer\.cpp\..*\.cuda\$|^tagger_demo\.cuda\$|^planted"

if [ "$quick" = yes ]; then
  printf '\n== quick: build\n'
  cmake --preset emulated -B build-quick -DVARLSTM_BUILD_TESTS=ON -DVARLSTM_BUILD_BENCH=OFF -DVARLSTM_TEST_PTX=OFF
  cmake --build build-quick -j "$(nproc)"
  printf '\n== quick: tests\n'
  ctest --test-dir build-quick --output-on-failure -j "$(nproc)" -E "$long"
  exit
fi

# run PRESET FOLDER OPTION...: configures, builds and tests one preset.
run() {
  preset=$1 folder=$2
  shift 2
  printf '\n== %s: build\n' "$preset"
  cmake --preset "$preset" -DVARLSTM_BUILD_TESTS=ON "$@"
  cmake --build --preset "$preset" -j "$(nproc)"
  printf '\n== %s: tests\n' "$preset"
  ctest --test-dir "$folder" --output-on-failure -j "$(nproc)"
}

run asan build-asan -DVARLSTM_BUILD_BENCH=OFF
run emulated build-emulated -DVARLSTM_BUILD_BENCH=ON
