"""Finding and checking the library: another version, another library, none; each in a Python of its own."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from varlstm import _library
from varlstm._declarations import FUNCTIONS

CC = shutil.which("cc")


def import_with(library: pathlib.Path | str) -> str:
    """What importing the package with VARLSTM_LIBRARY=library prints: the exception, or nothing."""
    program = "try:\n  import varlstm._library\nexcept ImportError as error:\n  print(type(error).__name__, error)"
    run = subprocess.run([sys.executable, "-c", program], env={**os.environ, "VARLSTM_LIBRARY": str(library)},
                         stdout=subprocess.PIPE, check=True, text=True)
    return run.stdout.strip()


def build_library(folder: pathlib.Path, source: str) -> pathlib.Path:
    """A shared library of those lines of C."""
    if CC is None:
        pytest.skip("no C compiler")
    (folder / "stand_in.c").write_text(source)
    library = folder / "libstand_in.so"
    subprocess.run([CC, "-shared", "-fPIC", "-o", str(library), str(folder / "stand_in.c")], check=True)
    return library


def test_the_library_is_of_the_packages_version():
    assert _library.version() == ".".join(map(str, _library.VERSION))
    assert "libvarlstm" in _library.build_info() and _library.version() in _library.build_info()


def test_a_missing_library_names_the_variable_and_the_path(tmp_path):
    message = import_with(tmp_path / "libmissing.so")
    assert message.startswith("LibraryError libvarlstm was not found; set VARLSTM_LIBRARY")
    assert str(tmp_path / "libmissing.so") in message


def test_a_file_that_is_no_library(tmp_path):
    (tmp_path / "libtext.so").write_text("text")
    assert import_with(tmp_path / "libtext.so").startswith("LibraryError libvarlstm was not found")


def test_a_library_that_is_another(tmp_path):
    library = build_library(tmp_path, "int another(void) { return 1; }")
    assert import_with(library) == f"LibraryError {library} is not libvarlstm: it has no function varlstm_version"


@pytest.mark.parametrize("number, version", [(99, "0.0.99"), (200, "0.2.0"), (10000, "1.0.0")])
def test_a_library_of_another_version(tmp_path, number, version):
    library = build_library(tmp_path, f"int varlstm_version(void) {{ return {number}; }}")
    wanted = ".".join(map(str, _library.VERSION))
    assert import_with(library) == f"LibraryError {library} is libvarlstm {version}, this package needs {wanted}"


def test_a_library_that_lacks_a_function(tmp_path):
    names = [name for name in FUNCTIONS if name not in ("varlstm_version", "varlstm_clip_grad_norm")]
    major, minor, patch = _library.VERSION
    source = f"int varlstm_version(void) {{ return {10000 * major + 100 * minor + patch}; }}\n"
    library = build_library(tmp_path, source + "".join(f"void {name}(void) {{}}\n" for name in names))
    message = import_with(library)
    assert message == f"LibraryError {library} has no function varlstm_clip_grad_norm: it is older than this package"


def test_this_library_loads():
    assert import_with(_library.lib._name) == ""
