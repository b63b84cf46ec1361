# The commands of the tagger's guide, in their order, and what the page says that they print. Numbers with a decimal
# point, speeds and the best epoch may differ, and a line of «…» stands for any lines. Commands that need a module which is missing are
# left out, with those that need what they make. Usage: python3 tagger_guide_test.py PROGRAM SOURCE
# SPDX-License-Identifier: Apache-2.0
import importlib.util
import os
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAM, SOURCE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
NEEDS = {"gensim": ("guide/vectors.vec", "guide/accurate"), "optuna": ("search.py",)}  # a module: texts of commands
MARK = "== end of a command"


def commands(page):
    """[command, what it prints] of each line that begins with a prompt."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```$", page, flags=re.S | re.M):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append([line[2:], []])
            else:
                found[-1][1].append(line)
    return found


def pattern_of(lines):
    """A regular expression for the lines."""
    parts = []
    for line in lines:
        text = r"(?:.*\n)*?" if line == "…" else re.escape(line) + r"\n"
        text = re.sub(r"[0-9]+\\\.[0-9]+", r"[0-9]+\\.[0-9]+", text)
        text = re.sub(r"epoch\\ [0-9]+,", r"epoch [0-9]+,", text)
        parts.append(re.sub(r"[0-9]+\\ tokens/s", r"[0-9]+\\ tokens/s", text))
    return "".join(parts)


missing = [text for module, texts in NEEDS.items() if importlib.util.find_spec(module) is None for text in texts]
steps = commands((SOURCE / "tools" / "tagger" / "GUIDE.md").read_text(encoding="utf-8"))
steps = [step for step in steps if not any(text in step[0] for text in missing)]
with tempfile.TemporaryDirectory() as folder:
    place = pathlib.Path(folder)
    (place / "build").mkdir()
    (place / "build" / "bin").symlink_to(PROGRAM.parent)
    (place / "tools").symlink_to(SOURCE / "tools")
    script = "set -e\n" + "".join(f"{command}\necho '{MARK}'\n" for command, _ in steps)
    path = os.pathsep.join((str(pathlib.Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path}
    outcome = subprocess.run(["bash", "-c", script], cwd=place, env=environment, text=True, encoding="utf-8",
                             capture_output=True, check=False)
outputs = outcome.stdout.split(MARK + "\n")
assert outcome.returncode == 0, (steps[len(outputs) - 1][0], outcome.stderr[-2000:])
assert len(steps) >= 9
for (command, lines), output in zip(steps, outputs):
    assert re.fullmatch(pattern_of(lines), output), f"{command}\nprints\n{output}\nand not\n" + "\n".join(lines)
