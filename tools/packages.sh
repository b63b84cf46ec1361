# Debian packages of the scripts beside this file, which source it.
# SPDX-License-Identifier: Apache-2.0

BUILD_PACKAGES="g++ cmake ninja-build libopenblas-openmp-dev libcli11-dev libfmt-dev nlohmann-json3-dev
  zlib1g-dev"
TEST_PACKAGES="libgtest-dev libboost-context-dev binutils libbenchmark-dev clang libclang-rt-dev clang-format abigail-tools pkg-config make
  python3-pytest python3-numpy python3-torch python3-pip python3-setuptools python3-wheel
  python3-optuna python3-matplotlib python3-plotly
  cargo rustfmt"

# need_packages PACKAGE...: installs those that are missing as root, else names them and ends the script with status 2.
need_packages() {
  if ! command -v dpkg-query >/dev/null; then
    echo "Not a Debian system: what follows needs the equivalents of: $*"
    return
  fi
  missing=""
  for package in "$@"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) || state=""
    [ "$state" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    echo "Missing Debian packages: install them as root with: apt-get install$missing" >&2
    exit 2
  fi
  echo "Installing Debian packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # one word a package
  if ! { apt-get -q update && apt-get -q install -y --no-install-recommends $missing; } </dev/null; then
    echo "Could not install the Debian packages:$missing" >&2
    exit 2
  fi
}
