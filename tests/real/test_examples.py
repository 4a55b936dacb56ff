"""The README's Python examples do what they promise, word for word as they are printed there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Final

import pytest

from tests.processes import ROOT
from tests.real.house import House

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

_EXAMPLE: Final = re.compile(r"<!-- example: (\w+) -->\n```python\n(.*?)```", re.DOTALL)
_SHOWN: Final = "http://127.0.0.1:8000"


def printed(house: House, name: str) -> str:
    """What an example prints, its address replaced by this house's."""
    code = dict(_EXAMPLE.findall((ROOT / "README.md").read_text()))[name]
    assert code.count(_SHOWN) == 1
    words = [sys.executable, "-W", "error", "-c", code.replace(_SHOWN, house.url)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_the_chat_names_paris(house: House):
    assert "Paris" in printed(house, "chat")


def test_the_stream_prints_an_answer(house: House):
    assert len(printed(house, "stream").split()) > 3


def test_the_structured_answers_are_structured(house: House):
    """First the city from a JSON schema, which may be of several lines, then the arguments of a forced tool."""
    city, brace, arguments = printed(house, "structured").partition("{")
    assert city.strip()
    assert set(json.loads(brace + arguments)) == {"city"}
