#!/bin/sh
# ptx_coverage.sh FILE [LEAST [PROCESSES [NEED_NOT_RUN]]]: prints how many of each kernel's PTX instructions were reached by the processes
# that appended to FILE at their end (VARLSTM_EMULATOR_PTX_COVERAGE). Ends with status 1 if less than LEAST percent of a
# kernel's instructions were reached (default 1), and with 77 if fewer than PROCESSES processes came to their end. A kernel
# that no process ran is left out if its name fits the pattern NEED_NOT_RUN. A process that ran none of a file's kernels
# does not know how many instructions they have, and writes 0.
# SPDX-License-Identifier: Apache-2.0
set -u
[ $# -ge 1 ] || { echo "usage: ptx_coverage.sh FILE [LEAST [PROCESSES [NEED_NOT_RUN]]]"; exit 2; }
[ -s "$1" ] || { echo "$1 has no line"; exit 1; }
awk -v least="${2:-1}" -v processes="${3:-0}" -v need_not_run="${4:-^$}" '
  {
    if (!($1 in total) || $2 > total[$1]) total[$1] = $2
    if (++ended[$1] > most) most = ended[$1]
    for (k = 3; k <= NF; ++k) {
      split($k, range, "-")
      for (n = range[1]; n <= range[2]; ++n) if (!(($1, n) in reached)) { reached[$1, n] = 1; ++count[$1] }
    }
  }
  END {
    if (most < processes) {
      printf "%d of %d programs came to their end: their coverage was not looked at\n", most, processes
      exit 77
    }
    for (name in total) {
      if (count[name] == 0 && name ~ need_not_run) { ++left_out; continue }
      percent = total[name] == 0 ? 0 : 100 * count[name] / total[name]
      printf "%5.1f %% of %4d  %s\n", percent, total[name], name | "sort -n"
      if (percent < least) ++low
      all += total[name]; seen += count[name]; ++kernels
    }
    close("sort -n")
    printf "%d kernels, %.1f %% of their %d instructions\n", kernels, 100 * seen / all, all
    if (left_out) printf "%d kernels were not run and need not be\n", left_out
    if (low) printf "%d kernels under %s %%\n", low, least
    exit low > 0
  }' "$1"
