#!/bin/sh
# constants.sh HEADER [--renew]: every enum constant of HEADER has the value that constants.txt gives. The functions take
# constants as int32_t, so that abidiff alone would not see a changed value.
# SPDX-License-Identifier: Apache-2.0
set -eu
header=$1
list=$(dirname "$0")/constants.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cc -E -P "$header" | grep -oE 'VARLSTM_[A-Z0-9_]+ = -?[0-9]+' >"$work/declared"
all=$(cc -E -P "$header" | grep -oE '\bVARLSTM_[A-Z0-9_]+' | wc -l)
[ "$all" -eq "$(wc -l <"$work/declared")" ] || { echo "$header has a constant without a value of its own"; exit 1; }
if [ "${2:-}" = --renew ]; then
  cp "$work/declared" "$list"
fi
diff -u "$list" "$work/declared" || { echo "$header (+) and $list (-) differ; renew it: sh $0 $1 --renew"; exit 1; }
echo "$(wc -l <"$list") constants, as listed"
