#!/bin/sh
# ptx_coverage.sh FILE [LEAST]: how many of each kernel's PTX instructions the processes reached that appended to FILE
# (VARLSTM_EMULATOR_PTX_COVERAGE). Ends with status 1 if a kernel was never run, or reached less than LEAST percent
# (default 1).
# SPDX-License-Identifier: Apache-2.0
set -u
[ $# -ge 1 ] || { echo "usage: ptx_coverage.sh FILE [LEAST]"; exit 2; }
[ -s "$1" ] || { echo "$1 has no line"; exit 1; }
awk -v least="${2:-1}" '
  {
    total[$1] = $2
    for (k = 3; k <= NF; ++k) {
      split($k, range, "-")
      for (n = range[1]; n <= range[2]; ++n) if (!(($1, n) in reached)) { reached[$1, n] = 1; ++count[$1] }
    }
  }
  END {
    for (name in total) {
      if (total[name] <= 1) continue  # an empty kernel, its return at most: for the occupancy alone
      percent = 100 * count[name] / total[name]
      printf "%5.1f %% of %4d  %s\n", percent, total[name], name | "sort -n"
      if (percent < least) ++low
      all += total[name]; seen += count[name]; ++kernels
    }
    close("sort -n")
    printf "%d kernels, %.1f %% of their %d instructions\n", kernels, 100 * seen / all, all
    if (low) printf "%d kernels under %s %%\n", low, least
    exit low > 0
  }' "$1"
