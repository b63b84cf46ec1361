# SPDX-License-Identifier: Apache-2.0
"""Builds and runs tests in the copy of the tree."""
import json
import os
import re
import shutil
import signal
import subprocess
import time

from catalogue import Mistake
from command import entries_of, split, without_tests

# Seconds that a build may take, and that a test may take at least; longer, where it took longer without a defect.
BUILD_LIMIT = 3600
TEST_LIMIT = 60


def clock():
    return time.strftime("%H:%M:%S")


def run_command(command, limit, environment=None, folder=None):
    """(status, output): the status is None where the limit was reached; then everything that it started is killed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                          errors="replace", env=environment, cwd=folder, start_new_session=True) as process:
        try:
            output, _ = process.communicate(timeout=limit)
            return process.returncode, output
        except BaseException as cause:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            if isinstance(cause, subprocess.TimeoutExpired):
                return None, output
            raise


class Build:
    """A build folder of the copy at `source`."""

    def __init__(self, source, preset, jobs):
        self.source = source
        self.folder = None
        self.jobs = jobs
        self.environment = self._environment()
        self.output = ""
        self.seconds = {}  # of each test without a defect
        self._configure(preset)

    def _environment(self):
        """The caller's, with ccache where the machine has it and the caller says nothing of it."""
        environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        if shutil.which("ccache"):
            environment.setdefault("CMAKE_CXX_COMPILER_LAUNCHER", "ccache")
            environment.setdefault("CMAKE_C_COMPILER_LAUNCHER", "ccache")
            environment.setdefault("CCACHE_NOHASHDIR", "1")
            # Paths below it count by where they stand in the tree, so that what another checkout compiled is found.
            environment["CCACHE_BASEDIR"] = self.source
        return environment

    def _configure(self, preset):
        with open(os.path.join(self.source, "CMakePresets.json"), encoding="utf-8") as file:
            presets = [entry["name"] for entry in json.load(file)["configurePresets"]]
        if preset not in presets:
            raise Mistake(f"--preset {preset}: the presets are {', '.join(presets)}")
        self.folder = os.path.join(self.source, "build-planted-" + preset)
        if not os.path.exists(os.path.join(self.folder, "build.ninja")):
            print(f"{clock()} configuring {self.folder}", flush=True)
            status, output = run_command(
                ["cmake", "--preset", preset, "-B", self.folder, "-DVARLSTM_BUILD_TESTS=ON", "-DVARLSTM_BUILD_BENCH=ON"],
                BUILD_LIMIT, self.environment, self.source)
            if status != 0:
                raise Mistake(f"cmake failed:\n{output[-4000:]}")

    def last_output(self):
        """The end of what the last failed build printed."""
        return self.output[-4000:]

    def make(self, tests):
        """Builds what these tests run. False where the compiler refused it."""
        targets = sorted({split(test).entry.split(".")[0] for test in tests})
        known = {target for target in targets if target in self._programs()}
        # A program's build has what it links; a script's tests may load the library.
        names = sorted(known) + ([] if len(known) == len(targets) else ["varlstm"])
        status, self.output = run_command(["ninja", "-C", self.folder, f"-j{self.jobs}", *names], BUILD_LIMIT,
                                          self.environment)
        return status == 0

    def _programs(self):
        """Names of all executables that the build can make."""
        if not hasattr(self, "_known_programs"):
            # The copy may have changed since the folder was configured.
            run_command(["ninja", "-C", self.folder, "build.ninja"], BUILD_LIMIT, self.environment)
            _, output = run_command(["ninja", "-C", self.folder, "-t", "targets", "all"], 120, self.environment)
            self._known_programs = {line.split(":")[0] for line in output.splitlines() if line.endswith(": phony")}
        return self._known_programs

    def prepare(self, tests):
        """Builds what all these tests need and runs each once: without a defect they must pass."""
        tests = sorted(set(tests))
        print(f"{clock()} building what {len(tests)} tests need", flush=True)
        if not self.make(tests):
            raise Mistake(f"the tree does not build without a defect:\n{self.last_output()}")
        self.entries = entries_of(self.folder)
        for test in tests:
            if split(test).entry not in self.entries:
                raise Mistake(f"{test}: ctest has no entry {split(test).entry} in {self.folder}")
            if not self.entries[split(test).entry].command:
                raise Mistake(f"{test}: no program of that entry was built in {self.folder}")
            start = time.monotonic()
            failure = self.failure_of(test)
            self.seconds[test] = time.monotonic() - start
            if failure:
                raise Mistake(f"{test} fails without a defect: {failure}\n{self.output[-4000:]}")
            if without_tests(self.output):
                raise Mistake(f"{test} runs no test")
            print(f"{clock()} passes without a defect in {self.seconds[test]:.1f} s: {test}", flush=True)

    def failure_of(self, test):
        """"" where the test passes, else what became of it."""
        wanted = split(test)
        entry = self.entries[wanted.entry]
        environment = {**self.environment, **entry.environment, **wanted.environment}
        # A defect may make a test slow without hanging it; that is none of its failures.
        limit = max(TEST_LIMIT, 20 * self.seconds.get(test, TEST_LIMIT))
        status, self.output = run_command([*entry.command, *wanted.options], limit, environment, entry.folder)
        if status is None:
            return f"ran into its limit of {limit:.0f} s"
        if status < 0:
            return f"was ended by signal {signal.Signals(-status).name}"
        if status == 0:
            return ""
        failed = re.search(r"^(\[  FAILED  \]|FAILED) (\S+)", self.output, re.MULTILINE)
        return failed.group(2).rstrip(",") if failed else f"ended with status {status}"
