# What ends the search with one line, and how a user's text is shown in it.
# SPDX-License-Identifier: Apache-2.0
import re


class SearchError(Exception):
    """The search cannot go on: the text is one line that names the argument and its value; the status is 2."""


def shown(value):
    """A value in a message: without the password of an URL, without characters that are no text."""
    text = re.sub(r"(://[^/@]*?:)[^@]*@", r"\1***@", str(value))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def reason(error):
    """The first line of what an exception says."""
    if isinstance(error, ImportError) and error.__cause__ is not None:
        error = error.__cause__  # Optuna says that a module is missing, the cause says which
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines()
    if not lines or isinstance(error, LookupError):  # whose text is a key alone
        lines = [f"{type(error).__name__} {lines[0] if lines else ''}".strip()]
    return shown(lines[0])


def text_fault(text):
    """Why a text cannot be an argument of a program; empty if it can."""
    if "\0" in text:
        return "has a NUL character"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return ""
