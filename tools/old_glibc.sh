#!/bin/sh
# old_glibc.sh FROM TO: copies an archive or object file that was compiled elsewhere, such as CUDA's runtime, so that what it
# is linked into runs with glibc 2.28: where a function of this machine's glibc has a newer version than that, the copy
# asks for the older one, which every glibc since has as well. For our own files cmake/glibc_2_28.h does the same.
# SPDX-License-Identifier: Apache-2.0
set -eu
[ $# -eq 2 ] && [ -f "$1" ] || { echo "usage: old_glibc.sh FROM TO, no such file: ${1:-}" >&2; exit 2; }
libc=$(cc -print-file-name=libc.so.6)
versions=$(mktemp)
trap 'rm -f "$versions"' EXIT
# Of each function: its newest version; that in brackets is what the linker takes only if it is asked for by name.
{
  nm -u "$1" 2>/dev/null | awk '$1 == "U" { print "wanted", $2 }'
  objdump -T "$libc" | awk '/GLIBC_2/ { print "has", $NF, $(NF - 1) }'
} | awk '
  function minor(version) { sub(/^GLIBC_2\./, "", version); return version + 0 }
  $1 == "wanted" { wanted[$2] = 1; next }
  $2 in wanted {
    version = $3
    if (gsub(/[()]/, "", version) == 0) newest[$2] = version
    else if (minor(version) <= 28 && (!($2 in old) || minor(version) > minor(old[$2]))) old[$2] = version
  }
  END { for (name in newest) if (minor(newest[name]) > 28 && name in old) print name, name "@" old[name] }' >"$versions"
objcopy --redefine-syms="$versions" "$1" "$2"
echo "$(wc -l <"$versions") functions of $(basename "$1") in an older version"
