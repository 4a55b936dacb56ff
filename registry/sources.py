"""How the sources of weights are written: one grammar a scheme, with the parts that it names. Pure text.

`registry.spec` refuses what does not fit; `engines.weights.source` reads the parts, and the hubs hold the environment's
tokens to the same rule as the registry's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_SEGMENT: Final = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.][A-Za-z0-9 ._+=-]*"
_REPOSITORY: Final = r"(?P<repository>(?:[A-Za-z0-9][A-Za-z0-9._-]*/)?[A-Za-z0-9][A-Za-z0-9._-]*)"
_REVISION: Final = r"(?P<revision>[A-Za-z0-9_][A-Za-z0-9._+-]*)"
_MEMBER: Final = rf"(?:/(?P<member>{_SEGMENT}(?:/{_SEGMENT})*))?"
_PORT: Final = r"(?::[0-9]{1,5})?"
_PATH: Final = rf"(?P<path>(?:/{_SEGMENT})*/?)"

GRAMMARS: Final[Mapping[str, re.Pattern[str]]] = {
    "pypi": re.compile(
        r"pypi://[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?@[A-Za-z0-9][A-Za-z0-9.!+_-]*"
        r"(?:/[A-Za-z0-9_][A-Za-z0-9 ._+-]*)+"
    ),
    "hf": re.compile(rf"hf://{_REPOSITORY}@{_REVISION}{_MEMBER}"),
    "modelscope": re.compile(rf"modelscope://{_REPOSITORY}@{_REVISION}{_MEMBER}"),
    "s3": re.compile(rf"s3://(?P<repository>[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]){_PATH}"),
    "https": re.compile(rf"https://(?P<repository>[A-Za-z0-9][A-Za-z0-9.-]*{_PORT}){_PATH}"),
    # Without TLS only from this machine: a proxy, a tunnel, a test.
    "http": re.compile(rf"http://(?P<repository>(?:localhost|127\.0\.0\.1){_PORT}){_PATH}"),
}
"""By scheme: the whole of a source."""

FORMS: Final[Mapping[str, str]] = {
    "pypi": "pypi://package@version/path/in/the/wheel",
    "hf": "hf://org/name@revision or hf://org/name@revision/file.gguf",
    "modelscope": "modelscope://org/name@revision or modelscope://org/name@revision/file.gguf",
    "s3": "s3://bucket/folder or s3://bucket/path/file.gguf",
    "https": "https://host/path/file.gguf or https://host/folder/",
    "http": "https://host/path/file.gguf (http:// only on this machine)",
}
"""By scheme: what to write."""

TOKEN_SCHEMES: Final = frozenset({"hf", "modelscope", "https"})
"""Whose servers a `token` may be sent to; S3 has credentials of its own, and http:// would show it to the network."""


def is_token(text: str) -> bool:
    """Whether a header can hold `text` as a token: printable ASCII without blanks, and some of it."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def is_path(source: str) -> bool:
    """Whether `source` is a place on this machine, not something to fetch."""
    return "://" not in source


def scheme(source: str) -> str:
    """What stands before `://`; empty for a path."""
    return "" if is_path(source) else source.partition("://")[0]


def flaw(source: str) -> str:
    """The rule that `source` breaks; empty where it breaks none. The message never repeats the source."""
    if is_path(source):
        if not source or source.startswith("~"):
            return "must be a path without '~' (write ${env:HOME}/…) or pypi://package@version/path"
        return ""
    known = scheme(source)
    if known not in GRAMMARS:
        return f"must be a path or begin with {', '.join(f'{name}://' for name in FORMS if name != 'http')}"
    return "" if GRAMMARS[known].fullmatch(source) else f"must look like {FORMS[known]}"
