#!/bin/sh
# install.sh CMAKE BUILD_DIR INSTALLED MOVED: installs into INSTALLED and moves the tree to MOVED, so that a path of the
# first place left in any file breaks the consumers.
# SPDX-License-Identifier: Apache-2.0
set -eu
cmake=$1 build=$2 installed=$3 moved=$4
rm -rf "$installed" "$moved"
"$cmake" --install "$build" --prefix "$installed" --strip
mv "$installed" "$moved"
if grep -rl --include='*.pc' --include='*.cmake' -e "$installed" -e "$build" "$moved"; then
  echo "the files above name the place where they were installed or built"
  exit 1
fi
for program in "$moved"/bin/*; do
  [ -e "$program" ] || continue  # configured without tools: no programs
  "$program" --help >/dev/null || { echo "$program does not run where it was moved to"; exit 1; }
done
