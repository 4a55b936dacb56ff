"""vLLM 0.32's argument parser (vllm/entrypoints/launchers/cli_args.py): the words after the module's name."""

from __future__ import annotations

import argparse
import importlib
import os

from .answering import answer, quiet_output


def main() -> None:
    """Loaded late: it must not write to our answers, nor report its use."""
    answers = quiet_output()
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    flexible = importlib.import_module("vllm.utils.argparse_utils").FlexibleArgumentParser
    launcher = importlib.import_module("vllm.entrypoints.launchers.cli_args")
    parser = launcher.make_arg_parser(flexible())

    def parse(words: list[str]) -> argparse.Namespace:
        parsed: argparse.Namespace = parser.parse_args(words)
        launcher.validate_parsed_serve_args(parsed)
        return parsed

    answer(parse, answers)


if __name__ == "__main__":
    main()
