#!/bin/sh
# old_glibc.sh FOLDER [ARCHIVE...]: fills FOLDER with what a library has to be linked with on this machine to run with glibc
# 2.28, too:
#   libpthread.so.0, libdl.so.2, librt.so.1    Since glibc 2.34 their functions are in libc. These stand-ins make the linker
#                                              write down that each is looked for where it was; they are not for running.
#   copies of the archives                     which ask for the older version of each function that has had a newer one
#                                              since 2.28. For our own files tools/cmake/glibc_2_28.h does the same.
# SPDX-License-Identifier: Apache-2.0
set -eu
[ $# -gt 0 ] || { echo "usage: old_glibc.sh FOLDER [ARCHIVE...]" >&2; exit 2; }
folder=$1
shift
mkdir -p "$folder"

# moved: each function of libc with a version beyond 2.28, and the last one before. Versions in brackets are those that the
# linker takes only if they are asked for by name.
objdump -T "$(cc -print-file-name=libc.so.6)" | awk '
  function minor(version) { sub(/^GLIBC_2\./, "", version); return version + 0 }
  /GLIBC_2/ {
    name = $NF; version = $(NF - 1)
    if (gsub(/[()]/, "", version) == 0) newest[name] = version
    else if (minor(version) <= 28 && (!(name in old) || minor(version) > minor(old[name]))) old[name] = version
  }
  END { for (name in newest) if (minor(newest[name]) > 28 && name in old) print name, old[name] }' |
  sort -k 2,2 -k 1,1 >"$folder/moved"

# stand_in LIBRARY PATTERN: with those of the functions that fit the pattern.
stand_in() {
  grep -E "^($2)" "$folder/moved" >"$folder/of_library"
  awk '{ print "void " $1 "(void) {}" }' "$folder/of_library" >"$folder/stand_in.c"
  awk '$2 != version { if (version) print "};"; version = $2; print version " {" } { print "  " $1 ";" } END { print "};" }' \
    "$folder/of_library" >"$folder/stand_in.map"
  cc -w -fno-builtin -shared -nostdlib -Wl,-soname,"$1" -Wl,--version-script="$folder/stand_in.map" "$folder/stand_in.c" \
    -o "$folder/$1"
}
stand_in libpthread.so.0 'pthread_|sem_'
stand_in libdl.so.2 'dl'
stand_in librt.so.1 'shm_|mq_|timer_|aio_|lio_'

awk '{ print $1, $1 "@" $2 }' "$folder/moved" >"$folder/versions"
for archive in "$@"; do objcopy --redefine-syms="$folder/versions" "$archive" "$folder/$(basename "$archive")"; done
