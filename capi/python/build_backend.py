"""The build of the package: setuptools, with the wishes of `pip install --config-settings` handed to setup.py.

    pip install --config-settings cuda=1 ./capi/python    with the CUDA back end, by the nvcc that is on PATH
"""
# SPDX-License-Identifier: Apache-2.0
import os

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F401,F403: every hook that is not below

VARIABLES = {"cuda": "VARLSTM_CUDA"}


def take(config_settings):
    """Sets what setup.py reads. Returns the settings that are setuptools' own."""
    settings = dict(config_settings or {})
    for name, variable in VARIABLES.items():
        if name in settings:
            os.environ[variable] = settings.pop(name)
    known = {"--global-option", "--build-option", "editable_mode"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise SystemExit(f"--config-settings {unknown[0]}={settings[unknown[0]]}: the known setting is cuda=0 or cuda=1")
    return settings


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return build_meta.build_wheel(wheel_directory, take(config_settings), metadata_directory)


def get_requires_for_build_wheel(config_settings=None):
    return build_meta.get_requires_for_build_wheel(take(config_settings))


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    return build_meta.prepare_metadata_for_build_wheel(metadata_directory, take(config_settings))
