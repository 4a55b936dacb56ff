"""Runs inside vLLM's environment: feeds command lines to vLLM's own parser and says what it made of each.

Standard input: a JSON list of argument lists (what follows `-m vllm.entrypoints.openai.api_server`). Standard
output: one JSON list with `{"error": text or null, "values": {…}}` for each. Used by `test_vllm_parser.py`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser


def verdict(parser: FlexibleArgumentParser, words: list[str]) -> dict:
    """What the parser says to `words`."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            parsed = parser.parse_args(words)
            validate_parsed_serve_args(parsed)
    except SystemExit:
        return {"error": said.getvalue(), "values": {}}
    except (ValueError, TypeError) as refused:
        return {"error": str(refused), "values": {}}
    return {"error": None, "values": {name: _plain(value) for name, value in vars(parsed).items()}}


def _plain(value: object) -> object:
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return repr(value)


def main() -> None:
    """One answer for all."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what vLLM prints while it is imported is no part of the answer
    parser = make_arg_parser(FlexibleArgumentParser())
    json.dump([verdict(parser, words) for words in json.load(sys.stdin)], answers)
    answers.close()


if __name__ == "__main__":
    main()
