#!/usr/bin/env python3
"""Writes the bindings' declarations from varlstm.h, so that they cannot differ from it.

    python3 capi/declarations.py           writes them
    python3 capi/declarations.py --check   ends with status 1 where a file is not what would be written
"""
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import difflib
import pathlib
import re
import sys
import textwrap
from dataclasses import dataclass

CAPI = pathlib.Path(__file__).resolve().parent
SPDX = "SPDX-License-Identifier: Apache-2.0"
ORIGIN = "Written by capi/declarations.py from varlstm.h: do not edit."


@dataclass
class Parameter:
    type: str  # as in C, without spaces before a star: "const int64_t*"
    name: str


@dataclass
class Function:
    result: str
    name: str
    parameters: list[Parameter]


@dataclass
class Header:
    handles: list[str]  # opaque structs
    enums: dict[str, dict[str, int]]
    functions: list[Function]


def parse(text: str) -> Header:
    """Reads what varlstm.h consists of: opaque structs, enums whose constants all have values, functions."""
    code = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    handles = re.findall(r"typedef struct (\w+) \1;", code)
    enums = {}
    for name, body in re.findall(r"\benum (\w+) \{(.*?)\};", code, flags=re.S):
        items = [item.split("=") for item in body.split(",") if item.strip()]
        enums[name] = {constant.strip(): int(value) for constant, value in items}
    functions = []
    for declaration in re.findall(r"^VARLSTM_API (.*?);", code, flags=re.S | re.M):
        head, _, rest = " ".join(declaration.split()).partition("(")
        result, name = split_declarator(head)
        inside = rest.rpartition(")")[0].strip()
        parameters = [] if inside == "void" else [Parameter(*split_declarator(p)) for p in inside.split(",")]
        functions.append(Function(result, name, parameters))
    return Header(handles, enums, functions)


def split_declarator(text: str) -> tuple[str, str]:
    """«const char** name» -> («const char**», «name»)."""
    match = re.fullmatch(r"(.*?)\s*(\w+)", text.strip())
    if match is None:
        raise ValueError(f"not understood in varlstm.h: {text!r}")
    return match.group(1).replace(" *", "*"), match.group(2)


def short_names(constants: dict[str, int], enum: str) -> dict[str, int]:
    """Without the prefix that all constants of the enum share; VARLSTM_OK and such keep their own."""
    for prefix in (enum.upper() + "_", enum.upper().rpartition("_")[0] + "_", "VARLSTM_"):
        if all(constant.startswith(prefix) for constant in constants):
            return {constant[len(prefix):]: value for constant, value in constants.items()}
    raise ValueError(f"a constant of {enum} does not begin with VARLSTM_")


def python_type(c_type: str) -> str:
    if c_type == "const char*":
        return "TEXT"
    if c_type.endswith("*"):
        return "POINTER"
    return {"int32_t": "INT32", "int64_t": "INT64", "uint64_t": "UINT64", "double": "DOUBLE"}[c_type]


def write_python(header: Header) -> str:
    lines = ['"""What varlstm.h declares: its enums, and the signatures of its functions for ctypes.', "", ORIGIN,
             '"""', f"# {SPDX}", "import ctypes", "import enum", "",
             "INT32, INT64, UINT64 = ctypes.c_int32, ctypes.c_int64, ctypes.c_uint64",
             "DOUBLE, TEXT, POINTER = ctypes.c_double, ctypes.c_char_p, ctypes.c_void_p", ""]
    for enum, constants in header.enums.items():
        lines += ["", f"class {enum.replace('varlstm_', '', 1).title().replace('_', '')}(enum.IntEnum):"]
        lines += [f"    {name} = {value}" for name, value in short_names(constants, enum).items()]
        lines += [""]
    lines += ["", "# name: (result, types of the parameters by their names). Every pointer is a void*."]
    lines += ["FUNCTIONS = {"]
    for function in header.functions:
        # «~» stands for a blank at which no line may end.
        parameters = ", ".join(f'"{p.name}":~{python_type(p.type)}' for p in function.parameters)
        entry = f'"{function.name}":~({python_type(function.result)}, {{{parameters}}}),'
        lines += [line.replace("~", " ") for line in textwrap.wrap(entry, width=118, initial_indent=" " * 4,
                                                                   subsequent_indent=" " * 8)]
    return "\n".join(lines + ["}", ""])


RUST_KEYWORDS = {"in", "type", "ref", "match", "move", "fn", "mod", "use", "where", "loop"}
RUST_WIDTH = 120  # as in rust/rustfmt.toml


def rust_name(name: str) -> str:
    return "r#" + name if name in RUST_KEYWORDS else name


def rust_type(c_type: str) -> str:
    if c_type.endswith("*"):
        inner = c_type[:-1].strip()
        if inner.startswith("const ") and not inner.endswith("*"):
            return "*const " + rust_type(inner[len("const "):])
        return "*mut " + rust_type(inner)
    return {"uint8_t": "u8", "int32_t": "i32", "int64_t": "i64", "uint64_t": "u64", "double": "f64", "void": "c_void",
            "char": "c_char"}.get(c_type, c_type)


def write_rust(header: Header) -> str:
    lines = [f"// What varlstm.h declares. {ORIGIN}", f"// {SPDX}", "", "use std::os::raw::{c_char, c_void};", ""]
    for handle in header.handles:
        lines += ["#[repr(C)]", f"pub struct {handle} {{", "    _private: [u8; 0],", "}", ""]
    for enum, constants in header.enums.items():
        lines += [f"// enum {enum}"]
        lines += [f"pub const {name}: i32 = {value};" for name, value in constants.items()] + [""]
    lines += ['extern "C" {']
    for function in header.functions:
        parameters = [f"{rust_name(p.name)}: {rust_type(p.type)}" for p in function.parameters]
        result = rust_type(function.result)
        line = f"    pub fn {function.name}({', '.join(parameters)}) -> {result};"
        if len(line) > RUST_WIDTH:
            line = "\n".join([f"    pub fn {function.name}(", *(f"        {p}," for p in parameters),
                              f"    ) -> {result};"])
        lines += [line]
    return "\n".join(lines + ["}", ""])


OUTPUTS = {"python/varlstm/_declarations.py": write_python, "rust/varlstm-sys/src/declarations.rs": write_rust}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file differs")
    check = parser.parse_args().check
    header = parse((CAPI / "include" / "varlstm.h").read_text())
    different = False
    for name, write in OUTPUTS.items():
        path, text = CAPI / name, write(header)
        present = path.read_text() if path.exists() else ""
        if present == text:
            continue
        if not check:
            path.write_text(text)
            continue
        different = True
        sys.stdout.writelines(difflib.unified_diff(present.splitlines(True), text.splitlines(True),
                                                   f"capi/{name}", "from varlstm.h"))
        print(f"capi/{name} differs from varlstm.h: run python3 capi/declarations.py")
    if not different:
        print(f"{len(header.functions)} functions, {sum(map(len, header.enums.values()))} constants, as in varlstm.h")
    return int(different)


if __name__ == "__main__":
    sys.exit(main())
