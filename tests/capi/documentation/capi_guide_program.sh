#!/bin/sh
# capi_guide_program.sh PROGRAM: runs a program of the guide, which must print what the guide says.
# SPDX-License-Identifier: Apache-2.0
set -eu
guide=$(dirname "$0")/../../../capi/README.md
expected=$(sed -n '/^```text$/,/^```$/p' "$guide" | sed '/^```/d')
printed=$("$@")
[ -n "$expected" ] || { echo "$guide has no block of text"; exit 1; }
[ "$printed" = "$expected" ] || { printf 'printed:\n%s\nthe guide says:\n%s\n' "$printed" "$expected"; exit 1; }
