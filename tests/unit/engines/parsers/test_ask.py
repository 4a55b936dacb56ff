"""Asking a parser: which interpreter has it, and what comes of its answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from engines import ENGINES
from engines.environments.locks import CATALOGUE
from engines.parsers.ask import ENVIRONMENTS, ask, installed
from engines.tool import ToolFailed


def test_every_engine_has_a_parser_in_environments_that_exist() -> None:
    assert ENVIRONMENTS.keys() == ENGINES.keys()
    assert {name for names in ENVIRONMENTS.values() for name in names} <= CATALOGUE.keys()


def test_where_nothing_is_installed_there_is_nobody_to_ask(tmp_path: Path) -> None:
    assert installed("sglang", tmp_path) is None


async def test_an_environment_without_the_engine_fails_with_its_last_words() -> None:
    """It is said which module is missing, instead of taking silence for consent."""
    with pytest.raises(ToolFailed, match="No module named 'lmdeploy'"):
        await ask("lmdeploy", Path(sys.executable), [["serve"]], {})
