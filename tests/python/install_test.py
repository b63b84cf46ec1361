"""The package as its users get it: installed by pip with the library bundled, and in place from a source tree."""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import varlstm

PACKAGE = pathlib.Path(varlstm.__file__).parent
LIBRARY = pathlib.Path(varlstm._library.lib._name)
PROGRAM = """
import varlstm
with varlstm.Context() as context:
    lstm, batch = varlstm.Rnn(context, 3, 5), varlstm.Batch(context, [2, 1])
    y = lstm.forward(batch, context.zeros(lstm.elements), context.zeros((3, 3))).y
print(varlstm._library.lib._name, varlstm.__version__, y.shape)
"""


def run(*command: str, cwd: pathlib.Path = pathlib.Path("/"), **environment: str) -> subprocess.CompletedProcess:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VARLSTM_", "PYTHONPATH"))}
    return subprocess.run([sys.executable, *command], cwd=cwd, env={**kept, **environment}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)


def expect_use(root: pathlib.Path, library: pathlib.Path) -> None:
    """The package below `root` finds that library by itself, and works."""
    result = run("-c", PROGRAM, PYTHONPATH=str(root))
    assert result.stdout == f"{library} {varlstm.__version__} (3, 5)\n"


def copy_source(folder: pathlib.Path) -> pathlib.Path:
    """capi/python without what a build leaves there."""
    leave_out = shutil.ignore_patterns("__pycache__", "build", "lib", "*.egg-info")
    return pathlib.Path(shutil.copytree(PACKAGE.parent, folder / "python", ignore=leave_out))


def make_tools(folder: pathlib.Path, *names: str) -> pathlib.Path:
    """A folder of programs that write their arguments to NAME.calls."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f'#!/bin/sh\necho "$@" >>{folder / name}.calls\n')
        (folder / name).chmod(0o755)
    return folder


def needs(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")


def needs_setuptools() -> None:
    needs("setuptools")
    if int(importlib.metadata.version("setuptools").split(".")[0]) < 71:  # which makes wheels by itself
        needs("wheel")


def pip(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """One call of pip, without an index."""
    needs("pip")
    needs_setuptools()
    return run("-m", "pip", *arguments, "--no-deps", "--no-index", **environment)


def build_wheel(tmp_path: pathlib.Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Builds a wheel into tmp_path by the setuptools that are there."""
    return pip("wheel", "--no-build-isolation", "--wheel-dir", str(tmp_path), *arguments,
               str(copy_source(tmp_path / "tree" / "capi")), **environment)


def test_pip_bundles_the_library(tmp_path):
    result = build_wheel(tmp_path, "--verbose", VARLSTM_BUILD_DIR=str(LIBRARY.parents[1]))
    assert result.returncode == 0 and "SetuptoolsDeprecationWarning" not in result.stdout, result.stdout
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as wheel:  # machine code has its place in the wheel's root, which is of the platform
        assert {name.split("/")[0] for name in wheel.namelist()} == {"varlstm", f"varlstm-{varlstm.__version__}.dist-info"}
        assert any(name.endswith("/LICENSE") for name in wheel.namelist())
        assert b"\nLicense: Apache-2.0\n" in wheel.read(f"varlstm-{varlstm.__version__}.dist-info/METADATA")
    result = pip("install", "--target", str(tmp_path / "site"), str(built))
    assert result.returncode == 0, result.stdout
    bundled = tmp_path / "site" / "varlstm" / "lib" / "libvarlstm.so.0"
    assert bundled.read_bytes() == LIBRARY.read_bytes()
    expect_use(tmp_path / "site", bundled)
    (wheel,) = (tmp_path / "site").glob("varlstm-*.dist-info/WHEEL")
    assert "Root-Is-Purelib: false" in wheel.read_text() and "Tag: py3-none-linux" in wheel.read_text()
    installed = {path.name for path in (tmp_path / "site" / "varlstm").iterdir()} - {"__pycache__", "lib"}
    assert installed == {path.name for path in PACKAGE.iterdir()} - {"__pycache__", "lib"}


def test_a_build_has_no_module_of_an_earlier_one(tmp_path):
    needs_setuptools()
    source = copy_source(tmp_path / "capi")
    module = source / "varlstm" / "earlier.py"
    module.touch()
    for _ in range(2):
        result = run("setup.py", "-q", "build", cwd=source, VARLSTM_BUILD_DIR=str(LIBRARY.parents[1]))
        assert result.returncode == 0, result.stdout
        module.unlink(missing_ok=True)
    (package,) = (source / "build").glob("lib*/varlstm")
    assert not (package / "earlier.py").exists() and (package / "lib" / "libvarlstm.so.0").exists()


@pytest.mark.parametrize("preset, environment, text", [
    (False, {}, "is no checkout of libvarlstm: pip install wants capi/python inside of one"),
    (True, {"VARLSTM_CUDA": "yes"}, "VARLSTM_CUDA=yes: wanted 0 or 1"),
    (True, {"VARLSTM_CUDA": "1", "PATH": "{tools}"}, "VARLSTM_CUDA=1: nvcc is not on PATH"),
    (True, {"PATH": ""}, "cmake not found: it builds libvarlstm"),
])
def test_why_the_library_cannot_be_built(tmp_path, preset, environment, text):
    needs_setuptools()
    source = copy_source(tmp_path / "tree" / "capi")
    if preset:
        (tmp_path / "tree" / "CMakePresets.json").touch()
    make_tools(tmp_path / "tools", "cmake", "ninja")
    environment = {name: value.format(tools=tmp_path / "tools") for name, value in environment.items()}
    result = run("setup.py", "-q", "build", cwd=source, **environment)
    assert result.returncode != 0 and text in result.stdout, result.stdout


@pytest.mark.parametrize("settings, environment, preset", [
    ([], {}, "host"),
    (["--config-settings", "cuda=1"], {}, "release"),
    (["--config-settings", "cuda=0"], {"VARLSTM_CUDA": "1"}, "host"),
    ([], {"VARLSTM_CUDA": "1"}, "release"),
])
def test_cuda_is_built_if_it_is_asked_for(tmp_path, settings, environment, preset):
    """An nvcc that happens to be there changes nothing."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "CMakePresets.json").touch()
    tools = make_tools(tmp_path / "tools", "cmake", "ninja", "nvcc")
    result = build_wheel(tmp_path, *settings, PATH=f"{tools}:{os.environ['PATH']}", **environment)
    assert result.returncode != 0, result.stdout  # this cmake builds nothing
    calls = (tools / "cmake.calls").read_text().splitlines()
    assert f"--preset {preset} " in calls[0] and "--fresh" in calls[0], calls


def test_an_unknown_setting_is_an_error(tmp_path):
    result = build_wheel(tmp_path, "--config-settings", "cud=1")
    assert result.returncode != 0 and "--config-settings cud=1: the known setting is cuda=0 or cuda=1" in result.stdout


def test_in_place_the_library_of_the_source_trees_build_folder_is_found(tmp_path):
    source = copy_source(tmp_path / "tree" / "capi")
    library = tmp_path / "tree" / "build" / "lib" / "libvarlstm.so.0"
    library.parent.mkdir(parents=True)
    library.symlink_to(LIBRARY)
    expect_use(source, library)
