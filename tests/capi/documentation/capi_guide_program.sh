#!/bin/sh
# capi_guide_program.sh PAGE PROGRAM: runs a program of that page, which must print what the page's block of text says.
# SPDX-License-Identifier: Apache-2.0
set -eu
guide=$1
shift
expected=$(sed -n '/^```text$/,/^```$/p' "$guide" | sed '/^```/d')
printed=$("$@")
[ -n "$expected" ] || { echo "$guide has no block of text"; exit 1; }
[ "$printed" = "$expected" ] || { printf 'printed:\n%s\nthe page says:\n%s\n' "$printed" "$expected"; exit 1; }
