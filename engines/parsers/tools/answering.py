"""What the parsers' programs share: the file in, a line of JSON out for each command line."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

Parse = Callable[[list[str]], argparse.Namespace]


def quiet_output() -> TextIO:
    """Where answers go; what an engine prints while it is imported is no part of them. To be called first."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def answer(parse: Parse, answers: TextIO) -> None:
    """One verdict for each command line of the file that this program was given."""
    lines = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with answers:
        answers.writelines(json.dumps(_verdict(parse, words)) + "\n" for words in lines)


def _verdict(parse: Parse, words: list[str]) -> dict[str, object]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = parse(words)
    except SystemExit:
        return {"error": _sentence(said.getvalue()), "values": {}}
    except (ValueError, TypeError, AssertionError) as refused:
        return {"error": str(refused).strip() or type(refused).__name__, "values": {}}
    return {"error": None, "values": {name: _plain(value) for name, value in vars(parsed).items()}}


def _sentence(said: str) -> str:
    """What argparse says last, after the usage and `prog: error:`."""
    return said.rpartition(": error: ")[2].strip() or "refused"


def _plain(value: object) -> object:
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return repr(value)
