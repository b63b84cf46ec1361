#!/bin/sh
# Builds everything and runs every test: first under AddressSanitizer and UndefinedBehaviorSanitizer, then the release
# build, whose summary by ctest ends the output. Ends at once, with a status other than 0, where something fails.
# SPDX-License-Identifier: Apache-2.0
set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh
# shellcheck disable=SC2086  # one word a package
need_packages $BUILD_PACKAGES $TEST_PACKAGES

jobs=$(nproc)
for preset in asan host; do
  build=build
  [ $preset = host ] || build=build-$preset
  printf '\n== %s: build\n' $preset
  cmake --preset $preset -DVARLSTM_BUILD_TESTS=ON -DVARLSTM_BUILD_BENCH=ON
  cmake --build --preset $preset -j "$jobs"
  printf '\n== %s: tests\n' $preset
  ctest --test-dir $build --output-on-failure -j "$jobs"
done
