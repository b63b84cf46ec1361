#!/bin/sh
# Builds everything and runs every test, on the host back end and on the CUDA back end, whose kernels are executed on the
# CPU: first under AddressSanitizer and UndefinedBehaviorSanitizer, then the release build with the race detector, whose
# summary by ctest ends the output. Ends at once, with a status other than 0, where something fails.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh
# shellcheck disable=SC2086  # one word a package
need_packages $BUILD_PACKAGES $TEST_PACKAGES

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
