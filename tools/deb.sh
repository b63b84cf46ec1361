#!/bin/sh
# Builds the Debian packages libvarlstm0, libvarlstm-dev and varlstm-tagger into build-deb, with the host back end, and
# checks them by lintian. tools/deb_test.sh installs them elsewhere.
# SPDX-License-Identifier: Apache-2.0
set -eu
[ $# -eq 0 ] || { echo "usage: deb.sh, without arguments, not: $*" >&2; exit 2; }
cd "$(dirname "$0")/.."
command -v lintian >/dev/null || { echo "deb.sh: apt-get install lintian" >&2; exit 2; }
cmake --preset deb
cmake --build --preset deb
rm -f build-deb/*.deb
(cd build-deb && cpack -G DEB)
# These packages are not for Debian's own archive, where a first upload closes the bug that announced it.
lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs build-deb/*.deb
ls build-deb/*.deb
