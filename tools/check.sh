#!/bin/sh
# Checks the tree without building it: format, who includes whom, where asm stands, licence lines, and that every public
# header compiles alone: .h as C11 and C++17, .hpp as C++17 and C++20. Prints each finding as file:line and ends with
# status 1 if there is one.
# SPDX-License-Identifier: Apache-2.0
set -u
[ $# -eq 0 ] || { echo "check.sh takes no argument: $1" >&2; exit 2; }
cd "$(dirname "$0")/.." || exit 2
for tool in clang-format cc c++; do
  command -v $tool >/dev/null || { echo "check.sh needs $tool"; exit 2; }
done
findings=$(mktemp) || exit 2
trap 'rm -f "$findings"' EXIT

# report RULE: passes on the lines that break it, each with the rule's text.
report() { sed "s|\$|   ($1)|" | tee -a "$findings"; }

# sources PATH...: the C and C++ files below those paths. No file name here has a space.
sources() {
  find "$@" \( -name 'build*' -o -name .git -o -name scratch \) -prune -o -type f \
    \( -name '*.h' -o -name '*.hpp' -o -name '*.cc' -o -name '*.c' -o -name '*.cu' -o -name '*.cuh' \) -print |
    sed 's|^\./||' | sort
}

# includes FILE...: «file:line: path» for every include of a file of this project, path from the root.
includes() {
  [ $# -gt 0 ] || return 0
  grep -nE '^ *# *include *["<]' /dev/null "$@" | while IFS=: read -r file line text; do
    path=${text#*[\"<]}
    path=${path%%[\">]*}
    for candidate in "${file%/*}/$path" "$path" "capi/include/$path" "tests/$path"; do
      if [ -f "$candidate" ]; then
        echo "$file:$line: $candidate"
        break
      fi
    done
  done
}

# only ALLOWED FILE...: the includes of those files that lie outside the pattern.
only() {
  allowed=$1
  shift
  includes "$@" | grep -vE ": ($allowed)$"
}

check_includes() {
  header='[a-z0-9_]+\.(h|cuh)'
  public='capi/include/[a-z_/.]+\.(h|hpp)'
  contract="capi/contract/$header"
  only "capi/$header|$contract|$public" $(sources capi) | report "capi may include capi"
  only "$public" $(sources capi/include capi/examples) |
    report "public headers and examples may include public headers"
  only "$contract|capi/include/varlstm\.h" $(sources capi/contract) |
    report "capi/contract may include itself and varlstm.h"
  for room in host/*/; do
    room=${room%/}
    case $room in
      host/simd) more="|host/cells" ;;
      host/gemm) more="|host/simd|host/threads" ;;
      host/ops) more="|host/gemm|host/simd|host/threads" ;;
      host/rnn) more="|host/cells|host/gemm|host/ops|host/simd|host/threads" ;;
      *) more="" ;;
    esac
    only "($room$more)/$header|host/$header|$contract" $(sources "$room") |
      report "$room may include itself, the rooms below it, host's own headers and capi/contract"
  done
  only "host/([a-z]+/)?$header|$contract|capi/include/varlstm\.h" $(sources host | grep '^host/[a-z_]*\.[a-z]*$') |
    report "host/backend* may include host, capi/contract and varlstm.h"
  for room in kernels/*/; do
    room=${room%/}
    case $room in
      kernels/core | kernels/arch) more="|kernels/simt" ;;
      kernels/simt) more="|kernels/simt/ptx" ;;
      kernels/batch_plan | kernels/embedding) more="|kernels/sort" ;;
      kernels/linear_cross_entropy) more="|kernels/gemm|kernels/convert|kernels/masked_loss" ;;
      kernels/recurrence) more="|kernels/recurrence/[a-z_]+|kernels/cells|kernels/gemm|kernels/dropout" ;;
      *) more="" ;;
    esac
    only "($room|kernels/core|kernels/arch|kernels/selection$more)/$header|$contract|capi/include/varlstm\.h" \
      $(sources "$room") |
      report "$room may include itself, kernels/core, kernels/arch, kernels/selection, capi/contract and varlstm.h"
  done
  only "kernels/[a-z0-9_/]+\.h|$contract|capi/include/varlstm\.h" $(sources kernels | grep '^kernels/[a-z_]*\.[a-z]*$') |
    report "kernels/backend* may include kernels, capi/contract and varlstm.h"
  only "capi/include/varlstm\.(h|hpp)|tests/(support|golden)/$header|tests/capi/[a-z]+/$header" $(sources tests/capi) |
    report "tests/capi sees only varlstm.h, varlstm.hpp, tests/support, tests/golden and itself"
  only "tests/cells/$header|capi/include/varlstm\.h" $(sources tests/cells | grep '\.h$') |
    report "the cells of tests/cells may include each other and varlstm.h"
  only "capi/include/varlstm\.(h|hpp)|tools/[a-z0-9_/]+\.h" $(sources tools) |
    report "tools may include varlstm.h, varlstm.hpp and tools"
  only "capi/include/varlstm\.(h|hpp)|bench/[a-z0-9_/]+\.h" \
    $(sources bench | grep -vE '^bench/(exchange|count_recurrence|host_parts)/') |
    report "bench may include varlstm.h, varlstm.hpp and bench"
  only "bench/exchange/$header|kernels/(core|arch)/$header" $(sources bench/exchange) |
    report "bench/exchange may include itself, kernels/core and kernels/arch"
  only "bench/[a-z0-9_/]+\.h|host/(gemm|simd)/$header" $(sources bench/host_parts) |
    report "bench/host_parts may include bench, host/gemm and host/simd"
  only "bench/count_recurrence/$header|kernels/(core|recurrence(/[a-z]+)?|selection|simt)/$header|$contract" $(sources bench/count_recurrence) |
    report "bench/count_recurrence may include itself, kernels/core, kernels/recurrence, kernels/selection, kernels/simt"
}

# On a machine with a GPU the host's compiler compiles the plain C++ of the CUDA back end, and it knows no device code.
check_plain_sources() {
  for file in $(sources kernels | grep '\.cc$' | grep -vE '^kernels/simt/|_emulated\.cc$'); do
    c++ -std=c++17 -MM -MG -I. -Icapi/include "$file" | tr ' ' '\n' | grep -x 'kernels/arch/device_cuda\.h' |
      sed "s|^|$file: |" | report "a .cc file of the CUDA back end must not include device code"
  done
}

check_text() {
  grep -nE '(^|[^A-Za-z0-9_])(asm|__asm|__asm__)( +(volatile|__volatile__|goto))* *\(' /dev/null \
    $(sources . | grep -vE '^kernels/arch/|^tools/cmake/glibc_2_28\.h$') |
    report "asm is only in kernels/arch and tools/cmake/glibc_2_28.h"
  grep -nE '#pragma omp' /dev/null $(sources host) | grep -v '#pragma omp simd$' |
    report "host shares its work out by host/threads, not by regions of OpenMP"
  grep -LE '^(//|#| \*|/\*) SPDX-License-Identifier: Apache-2\.0( \*/)?$' $(sources .) \
    $(find tools -name '*.sh' -o -name '*.cmake') \
    $(find capi tests -name target -prune -o \( -name '*.rs' -o -name '*.py' -o -name Cargo.toml \) -print) |
    report "a line «SPDX-License-Identifier: Apache-2.0» is missing"
}

check_format() {
  clang-format --dry-run $(sources .) 2>&1 | grep 'warning: code should be clang-formatted' |
    report "run: clang-format -i FILE"
}

# compiles_alone COMPILER STANDARD LANGUAGE HEADER: included by an otherwise empty file.
compiles_alone() {
  echo "#include \"$4\"" |
    "$1" "-std=$2" -pedantic -Wall -Wextra -Wshadow -Werror -fsyntax-only -x "$3" -I. - 2>&1 |
    report "$4 must compile alone as $2"
}

check_headers_alone() {
  for header in capi/include/*.h; do
    compiles_alone cc c11 c "$header"
    compiles_alone c++ c++17 c++ "$header"
  done
  for header in capi/include/*.hpp capi/include/*/*.hpp; do
    compiles_alone c++ c++17 c++ "$header"
    compiles_alone c++ c++20 c++ "$header"
  done
}

check_includes
check_plain_sources
check_text
check_format
check_headers_alone
if [ -s "$findings" ]; then
  echo "check.sh: $(wc -l <"$findings") lines of findings"
  exit 1
fi
echo "check.sh: nothing found"
