"""Builds libvarlstm by CMake and bundles it in varlstm/lib, where the package looks first: pip install ./capi/python

Wants a checkout and a C++ compiler; pip brings cmake and ninja. The environment:
    VARLSTM_CUDA=1 or 0    with the CUDA back end, by the nvcc on PATH, or without it; 0 by default. The same as
                           pip install --config-settings cuda=1
    VARLSTM_BUILD_DIR=DIR  takes the library of a build folder that is ready, and builds nothing
    VARLSTM_WHEEL_LABEL    what the version ends with, as in 0.1.0+cu13
    CMAKE_ARGS             more options for cmake
"""
# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import runpy
import shlex
import shutil
import subprocess

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parents[1]
VERSION = runpy.run_path(str(HERE / "varlstm" / "_declarations.py"))["HeaderVersion"]
LABEL = os.environ.get("VARLSTM_WHEEL_LABEL")
SONAME = f"libvarlstm.so.{VERSION.VERSION_MAJOR}"


def wants_cuda() -> bool:
    wish = os.environ.get("VARLSTM_CUDA", "")
    if wish not in ("", "0", "1"):
        raise SystemExit(f"VARLSTM_CUDA={wish}: wanted 0 or 1")
    if wish == "1" and shutil.which("nvcc") is None:
        raise SystemExit("VARLSTM_CUDA=1: nvcc is not on PATH")
    return wish == "1"


def build_library(folder: pathlib.Path) -> None:
    """Builds into `folder`, with the preset that has code for every GPU if CUDA is wanted."""
    if not (SOURCE / "CMakePresets.json").exists():
        raise SystemExit(f"{SOURCE} is no checkout of libvarlstm: pip install wants capi/python inside of one")
    for tool in ("cmake", "ninja"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} not found: it builds libvarlstm")
    options = ["-DVARLSTM_BUILD_TESTS=OFF", "-DVARLSTM_BUILD_BENCH=OFF", "-DVARLSTM_BUILD_TOOLS=OFF"]
    # Afresh, because an earlier build had other options, and a ninja that pip has deleted since.
    subprocess.run(["cmake", "--fresh", "--preset", "release" if wants_cuda() else "host", "-B", str(folder), *options,
                    *shlex.split(os.environ.get("CMAKE_ARGS", ""))], cwd=SOURCE, check=True)
    subprocess.run(["cmake", "--build", str(folder), "--target", "varlstm", "--parallel"], check=True)


class BuildPackage(build_py):
    """The modules, and the library beside them."""

    def run(self) -> None:
        # An earlier build may have left modules that are no longer in the package.
        shutil.rmtree(pathlib.Path(self.build_lib) / "varlstm", ignore_errors=True)
        super().run()
        ready = os.environ.get("VARLSTM_BUILD_DIR")
        folder = pathlib.Path(ready or self.get_finalized_command("build").build_temp).resolve()
        if not ready:
            build_library(folder)
        bundle = pathlib.Path(self.build_lib) / "varlstm" / "lib"
        bundle.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "lib" / SONAME, bundle / SONAME)


class PlatformDistribution(Distribution):
    """What has machine code, so that it is installed where such packages are."""

    def has_ext_modules(self) -> bool:
        return True


class PlatformWheel(bdist_wheel):
    """For any Python 3, on this platform only."""

    def get_tag(self) -> tuple:
        return "py3", "none", super().get_tag()[2]


setup(version=f"{VERSION.VERSION_MAJOR}.{VERSION.VERSION_MINOR}.{VERSION.VERSION_PATCH}" + (f"+{LABEL}" if LABEL else ""),
      license="Apache-2.0", distclass=PlatformDistribution,
      cmdclass={"build_py": BuildPackage, "bdist_wheel": PlatformWheel})
