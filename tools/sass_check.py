#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether ptxas keeps the words through which threads talk as wide as they were written.

    sass_check.py [--arch sm_90a] FOLDER PTX...

PTX: files, or folders of them.

A load or store of PTX that is relaxed, acquire, release or volatile and takes 8 bytes or more may be split by ptxas, which
also drops the parts of a vector that nobody uses: a word then arrives in pieces, and a mark in one piece says nothing of
the others. For each kernel of the files that has such an access, this compares how many there are of each width in the
PTX and in the machine code. It ends with status 1 and names the kernels where one came out narrower.

The machine code is FOLDER/<name>.cubin where that is not older than its PTX (tools/kernel_resources.sh leaves it there),
else ptxas makes it. nvdisasm is looked for on PATH, beside ptxas, and in Python's package nvidia-cuda-nvdisasm; without it
or without ptxas nothing is looked at, and the status is 77.
"""
import argparse
import collections
import glob
import os
import re
import shutil
import subprocess
import sys

SKIPPED = 77
PTX_ENTRY = re.compile(r"\.entry\s+(\w+)")
PTX_ACCESS = re.compile(r"\b(ld|st)((?:\.[\w:]+)+)\s")
PTX_ORDERS = {"relaxed", "acquire", "release", "volatile"}
SASS_FUNCTION = re.compile(r"^\.text\.(\w+):")
SASS_ACCESS = re.compile(r"\b(LD|ST)G?\.E((?:\.\w+)*)\s")
CUDA_FOLDERS = ["/usr/local/cuda/bin"]


def of_ptx(text):
    """{kernel: {(ld or st, bytes): how many}} of the accesses beyond one thread, but for those of shared memory."""
    kernels, counts = {}, None
    for line in text.splitlines():
        entry = PTX_ENTRY.search(line)
        if entry:
            counts = kernels[entry.group(1)] = collections.Counter()
        for what, suffixes in PTX_ACCESS.findall(line) if counts is not None else []:
            words = suffixes.split(".")[1:]
            if not PTX_ORDERS & set(words) or any(word.startswith("shared") for word in words):
                continue
            vector = next((int(word[1:]) for word in words if re.fullmatch(r"v\d", word)), 1)
            counts[what, vector * int(re.sub(r"\D", "", words[-1])) // 8] += 1
    return kernels


def of_sass(text):
    """The same of nvdisasm's text."""
    kernels, counts = {}, None
    for line in text.splitlines():
        function = SASS_FUNCTION.match(line)
        if function:
            counts = kernels[function.group(1)] = collections.Counter()
        for what, suffixes in SASS_ACCESS.findall(line) if counts is not None else []:
            words = suffixes.split(".")[1:]
            if "STRONG" in words:
                bits = [int(word.lstrip("US")) for word in words if re.fullmatch(r"[US]?\d+", word)]
                counts[what.lower(), (bits or [32])[0] // 8] += 1
    return kernels


def narrowed(ptx, sass):
    """Lines on what came out narrower in one kernel."""
    lines = []
    for what, width in sorted(ptx):
        if width >= 8 and sass[what, width] < ptx[what, width]:
            came = ", ".join(f"{count} of {bytes} bytes" for (kind, bytes), count in sorted(sass.items()) if kind == what)
            lines.append(f"{what} of {width} bytes is narrowed: {ptx[what, width]} in PTX, in machine code {came or 'none'}")
    return lines


def files_of(paths):
    """The files of PTX that those paths name, in folders all."""
    files = []
    for path in paths:
        in_folder = sorted(glob.glob(os.path.join(path, "*.ptx"))) if os.path.isdir(path) else [path]
        if not in_folder or not os.path.exists(in_folder[0]):
            sys.exit(f"sass_check.py: {path} has no PTX")
        files += in_folder
    return files


def find(tool):
    """Path of a tool of CUDA, or None."""
    found = shutil.which(tool) or shutil.which(tool, path=os.pathsep.join(CUDA_FOLDERS))
    for folder in [] if found else sys.path:
        found = found or next(iter(glob.glob(os.path.join(folder, "nvidia", "*", "bin", tool))), None)
    return found


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"sass_check.py: {' '.join(command)} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def cubin_of(ptx, folder, arch, ptxas):
    cubin = os.path.join(folder, os.path.splitext(os.path.basename(ptx))[0] + ".cubin")
    if not os.path.exists(cubin) or os.path.getmtime(cubin) < os.path.getmtime(ptx):
        os.makedirs(folder, exist_ok=True)
        output_of([ptxas, f"-arch={arch}", "-O3", ptx, "-o", cubin])
    return cubin


def check(path, cubin, nvdisasm):
    """Findings in one file, and how many kernels and wide accesses were looked at."""
    with open(path, encoding="utf-8") as file:
        ptx = of_ptx(file.read())
    wide = {name: counts for name, counts in ptx.items() if any(width >= 8 for _, width in counts)}
    if not wide:
        return [], 0, 0
    sass = of_sass(output_of([nvdisasm, "-c", cubin()]))
    findings = [f"{os.path.basename(path)}: {name}: {line}" for name, counts in wide.items()
                for line in ([] if name in sass else ["nvdisasm's text lacks it"]) +
                narrowed(counts, sass.get(name, collections.Counter()))]
    return findings, len(wide), sum(count for counts in wide.values() for (_, width), count in counts.items() if width >= 8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="sm_90a")
    parser.add_argument("folder", help="of cubins")
    parser.add_argument("ptx", nargs="+")
    options = parser.parse_args()
    ptxas, nvdisasm = find("ptxas"), find("nvdisasm")
    if not ptxas or not nvdisasm:
        print(f"sass_check.py: no {'nvdisasm' if ptxas else 'ptxas'} here, the machine code was not looked at")
        return SKIPPED
    findings, kernels, accesses = [], 0, 0
    for path in files_of(options.ptx):
        found, of_kernels, of_accesses = check(
            path, lambda path=path: cubin_of(path, options.folder, options.arch, ptxas), nvdisasm)
        findings += found
        kernels += of_kernels
        accesses += of_accesses
    print("\n".join(findings + [f"sass_check.py: {kernels} kernels with {accesses} accesses of 8 bytes and more that other "
                                f"threads see, {len(findings)} findings"]))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
