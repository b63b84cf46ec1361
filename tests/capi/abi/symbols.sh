#!/bin/sh
# symbols.sh LIBRARY HEADER [--renew]: what LIBRARY exports, the functions HEADER declares and exported_symbols.txt are
# one and the same list.
# SPDX-License-Identifier: Apache-2.0
set -eu
library=$1 header=$2
list=$(dirname "$0")/exported_symbols.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Functions alone; the version node itself is an absolute symbol ("A").
nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | LC_ALL=C sort >"$work/exported"
cc -E -P "$header" | tr '\n' ' ' | grep -oE 'visibility\("default"\)[^;(]*\)\) [^;(]*\(' | grep -oE '[a-z0-9_]+\($' |
  tr -d '(' | sed 's/$/@@VARLSTM_0/' | LC_ALL=C sort >"$work/declared"
if [ "${3:-}" = --renew ]; then
  cp "$work/declared" "$list"
fi
diff -u "$list" "$work/declared" || { echo "varlstm.h (+) and $list (-) differ; renew it: sh $0 $1 $2 --renew"; exit 1; }
diff -u "$list" "$work/exported" || { echo "$library exports (+) something else than $list (-)"; exit 1; }
echo "$(wc -l <"$list") symbols, as listed"
