#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whether ptxas keeps the words through which threads talk as wide as they were written.

    sass_check.py [--arch sm_90a] FOLDER PTX...

PTX: files, or folders of them.

A load or store of PTX that is relaxed, acquire, release or volatile and takes 8 bytes or more may be split by ptxas, which
also drops the parts of a vector that nobody uses: a word then arrives in pieces, and a mark in one piece says nothing of
the others. For each kernel of the files that has such an access, this compares how many there are of each width in the
PTX and in the machine code. It ends with status 1 and names the kernels where fewer wide ones came out, or more narrow ones:
an unrolled loop may have made up for what was split.

The machine code is FOLDER/<name>.cubin where that is not older than its PTX (tools/kernel_resources.sh leaves it there),
else ptxas makes it. Both tools are looked for on PATH, in CUDA's folder, and in NVIDIA's packages (nvidia-cuda-nvdisasm) of
each Python on PATH; without them nothing is looked at, and the status is 77.
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
PYTHON_FOLDERS = ["/usr/bin"]


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
    for what in ("ld", "st"):
        widest = max((width for kind, width in ptx if kind == what), default=0)
        widths = sorted({width for kind, width in [*ptx, *sass] if kind == what})
        came = ", ".join(f"{sass[what, width]} of {width} bytes" for width in widths if sass[what, width]) or "none"
        for width in widths:
            pair = f"{ptx[what, width]} in PTX, in machine code {came}"
            if 8 <= width and sass[what, width] < ptx[what, width]:
                lines.append(f"{what} of {width} bytes is narrowed: {pair}")
            elif width < widest and widest >= 8 and sass[what, width] > ptx[what, width]:
                lines.append(f"{what} of {width} bytes is a piece of a wider one: {pair}")
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


def package_folders():
    """Where the Pythons on PATH, and this one, look for packages."""
    folders = list(sys.path)
    for name in ("python3", "python"):
        for folder in [*os.get_exec_path(), *PYTHON_FOLDERS]:
            python = shutil.which(name, path=folder)
            if python:
                listing = subprocess.run([python, "-c", "import sys; print(*sys.path, sep='\\n')"], capture_output=True,
                                         text=True, check=False)
                folders += listing.stdout.splitlines()
    return list(dict.fromkeys(filter(None, folders)))


def find(tool):
    """Path of a tool of CUDA, or None."""
    found = shutil.which(tool) or shutil.which(tool, path=os.pathsep.join(CUDA_FOLDERS))
    for folder in [] if found else package_folders():
        for path in glob.iglob(os.path.join(glob.escape(folder), "nvidia", "**", "bin", tool), recursive=True):
            return path
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
    parser.add_argument("folder", nargs="?", help="of cubins")
    parser.add_argument("ptx", nargs="*", help="files, or folders of them")
    options = parser.parse_args()
    if not options.ptx:  # seen after options that are not known, one of which may be a misspelt one
        parser.error("a folder of cubins and a PTX file are wanted")
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
