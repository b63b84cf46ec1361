"""The files of tools/packaging/ against the project: versions, options, what the packages hold.
    packaging_test.py CMAKE BUILD      a configured build, and its cmake
With py-rattler-build (PyPI) installed, conda's recipe is rendered, too. Neither it nor vcpkg's port is built here.
"""
# SPDX-License-Identifier: Apache-2.0
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "tools" / "packaging"
CMAKE, BUILD = sys.argv[1:3]
PROJECT = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
VERSION = re.search(r"project\(varlstm VERSION (\S+)", PROJECT).group(1)
OPTIONS = set(re.findall(r"^option\((\w+)", PROJECT, re.MULTILINE))


def text_of(*path):
    return PACKAGING.joinpath(*path).read_text(encoding="utf-8")


class PackagingTest(unittest.TestCase):
    def expect_options(self, text):
        """Every option of ours in that text is one that the project has."""
        options = re.findall(r"-DVARLSTM_(\w+)=", text)
        self.assertIn("OPENBLAS", options)
        for option in options:
            self.assertIn(f"VARLSTM_{option}", OPTIONS)

    @unittest.skipUnless(shutil.which("dpkg-deb"), "no dpkg-deb here")
    def test_deb(self):
        cpack = shutil.which("cpack", path=pathlib.Path(CMAKE).parent) or "cpack"
        with tempfile.TemporaryDirectory() as folder:
            # The headers alone, because the library of a build for tests is large.
            subprocess.run([cpack, "-G", "DEB", "--config", f"{BUILD}/CPackConfig.cmake", "-B", folder,
                            "-D", "CPACK_COMPONENTS_ALL=dev"], check=True, capture_output=True)
            (deb,) = pathlib.Path(folder).glob("*.deb")
            fields = subprocess.check_output(["dpkg-deb", "-f", deb], text=True)
            listed = subprocess.check_output(["dpkg-deb", "-c", deb], text=True)
        self.assertIn("Package: libvarlstm-dev\n", fields)
        self.assertIn(f"Version: {VERSION}-1\n", fields)
        self.assertIn(f"Depends: libvarlstm{VERSION.split('.', maxsplit=1)[0]} (= {VERSION}-1)\n", fields)
        for path in ("/include/varlstm.h\n", "/include/varlstm/rnn.hpp\n", "/pkgconfig/varlstm.pc\n",
                     "/cmake/varlstm/varlstm-config.cmake\n", "/doc/libvarlstm-dev/copyright\n", "/libvarlstm.so -> "):
            self.assertIn(path, listed)

    def test_versions(self):
        self.assertEqual(re.match(r"libvarlstm \((.+?)-1\)", text_of("deb", "changelog")).group(1), VERSION)
        self.assertIn(f'"libvarlstm {VERSION}"', text_of("deb", "varlstm-tagger.1"))
        self.assertIn(f"\n  version: {VERSION}\n", text_of("conda", "recipe.yaml"))

    def test_gpus_of_the_release(self):
        """The wheel for CUDA runs on every GPU from 7.5 on: by code of its major version, or by PTX that is not newer."""
        presets = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))["configurePresets"]
        (release,) = [preset for preset in presets if preset["name"] == "release"]
        code, ptx = [], []
        for number, suffix in re.findall(r"(\d+)a?(-\w+)?", release["cacheVariables"]["CMAKE_CUDA_ARCHITECTURES"]):
            code += [int(number)] if suffix != "-virtual" else []
            ptx += [int(number)] if suffix != "-real" else []
        for gpu in (75, 80, 86, 87, 89, 90, 100, 103, 110, 120, 121, 130):
            self.assertTrue(any(built // 10 == gpu // 10 and built <= gpu for built in code) or
                            any(built <= gpu for built in ptx), gpu)

    def test_sources(self):
        """The port and the recipe are of this checkout."""
        port = re.search(r"CURRENT_PORT_DIR}/([./]+)", text_of("vcpkg", "varlstm", "portfile.cmake")).group(1)
        self.assertEqual((PACKAGING / "vcpkg" / "varlstm" / port).resolve(), ROOT)
        recipe = re.search(r"^source:\n  path: (\S+)", text_of("conda", "recipe.yaml"), re.MULTILINE).group(1)
        self.assertEqual((PACKAGING / "conda" / recipe).resolve(), ROOT)

    def test_vcpkg(self):
        port = json.loads(text_of("vcpkg", "varlstm", "vcpkg.json"))
        self.assertEqual((port["name"], port["version"]), ("varlstm", VERSION))
        portfile = text_of("vcpkg", "varlstm", "portfile.cmake")
        self.expect_options(portfile)
        for feature in port["features"]:
            self.assertIn(re.search(rf"FEATURES {feature} (\w+)", portfile).group(1), OPTIONS)

    def test_conda(self):
        self.expect_options(text_of("conda", "recipe.yaml"))
        try:
            import rattler_build
        except ImportError:
            self.skipTest("py-rattler-build is not installed: the recipe is not rendered")
        recipe = rattler_build.Stage0Recipe.from_file(PACKAGING / "conda" / "recipe.yaml")
        compilers = rattler_build.VariantConfig({"c_compiler": ["gcc"], "cxx_compiler": ["gxx"], "c_stdlib": ["sysroot"]})
        (variant,) = recipe.render(compilers)
        rendered = variant.recipe.to_dict()
        self.assertEqual(rendered["package"], {"name": "libvarlstm", "version": VERSION})
        self.assertEqual((PACKAGING / "conda" / rendered["source"][0]["path"]).resolve(), ROOT)
        self.assertIn("gxx_linux-64", rendered["requirements"]["build"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
