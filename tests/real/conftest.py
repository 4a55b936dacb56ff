"""The house that all tests of the real engine share: an engine's start costs half a minute.

A test may kill any part of it, since `house` waits until it serves again, and starts it again where it is gone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.real.house import DEFAULT, House, official, serving


@pytest.fixture(scope="session")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Its registry is a copy of the default one, which a test may edit if it leaves it as it was."""
    with serving(Path(shutil.copy(DEFAULT, tmp_path_factory.mktemp("registry")))) as started:
        yield started


@pytest.fixture
def house(shared_house: House) -> House:
    """The default registry's model on the real engine, ready."""
    if not shared_house.up:
        shared_house.start()
    shared_house.ready()
    return shared_house


@pytest.fixture
def client(house: House) -> Iterator[openai.OpenAI]:
    """The official client of it."""
    with official(house) as opened:
        yield opened
