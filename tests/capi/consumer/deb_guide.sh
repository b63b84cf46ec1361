#!/bin/sh
# deb_guide.sh SOURCE: on a system where the package libvarlstm-dev is installed, and in an empty folder, builds the guide's C
# program through pkg-config and its C++ program through find_package, as the guide says. Both must print what it says.
# SPDX-License-Identifier: Apache-2.0
set -eu
guide=$1/capi/README.md
run() { sh "$1/tests/capi/documentation/capi_guide_program.sh" "$guide" "$2"; }

sed -n '/^```c$/,/^```$/p' "$guide" | sed '/^```/d' >program.c
# shellcheck disable=SC2046  # flags are words
cc program.c -o of_pkg_config $(pkg-config --cflags --libs varlstm)
run "$1" ./of_pkg_config

awk -v part=program -f "$1/tests/capi/documentation/capi_guide.awk" "$guide" >program.cc
{
  printf 'cmake_minimum_required(VERSION 3.25)\nproject(guide CXX)\nadd_executable(program program.cc)\n'
  sed -n '/^```cmake$/,/^```$/p' "$guide" | sed '/^```/d'
} >CMakeLists.txt
cmake -S . -B build >/dev/null
cmake --build build >/dev/null
run "$1" build/program
echo "both of the guide's programs print what it says"
