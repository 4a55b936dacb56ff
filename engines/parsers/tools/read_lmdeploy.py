"""LMDeploy 0.18's argument parser (lmdeploy/cli/serve.py): the words from `serve` on."""

from __future__ import annotations

import argparse
import importlib

from .answering import answer, quiet_output


def main() -> None:
    """Loaded late: it must not write to our answers. What its `api_server` checks next without a GPU is checked too."""
    answers = quiet_output()
    parser = importlib.import_module("lmdeploy.cli.cli").CLI.parser
    importlib.import_module("lmdeploy.cli.serve").SubCliServe.add_parsers()
    values = importlib.import_module("lmdeploy.cli.utils")
    parsers = importlib.import_module("lmdeploy.serve.parsers")

    def parse(words: list[str]) -> argparse.Namespace:
        parsed: argparse.Namespace = parser.parse_args(words)
        values.get_lora_adapters(parsed.adapters)
        values.get_speculative_config(parsed)
        parsers.validate_parser_names(parsed.reasoning_parser, parsed.tool_call_parser)
        return parsed

    answer(parse, answers)


if __name__ == "__main__":
    main()
