"""The bodies that are measured become what they are meant to become; what that takes is printed by the benchmark."""

from __future__ import annotations

import json

import pytest

from gateway.api.body import decode
from gateway.api.shape import ROOMY
from gateway.errors import InvalidRequest
from loadtests.bounds.__main__ import main
from loadtests.bounds.corpus import FIELDS, HONEST, HOSTILE, body

SIZES = [4096, ROOMY + 4096]
"""Below and above what is looked at as a whole."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bodies_are_json_or_refused(value, size):
    """In whatever field, and never as a fault of ours."""
    made = value(size)
    for field in FIELDS:
        try:
            decode(body(field, made))
        except InvalidRequest:
            continue
        json.loads(made.replace(b"0" * 4400, b""))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("field", "value"), HONEST.values(), ids=HONEST.keys())
def test_honest_bodies_pass(field, value, size):
    assert decode(body(field, value(size))).model == "m"


@pytest.mark.parametrize("value", HOSTILE.values(), ids=HOSTILE.keys())
def test_bodies_have_the_size_that_was_asked_for(value):
    assert 30_000 < len(value(50_000)) <= 50_100


def test_the_benchmark_prints_the_dearest_and_ends_well(capsys):
    assert main(["--size", "2000", "--times", "1", "--most", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 + len(HONEST) + 1
