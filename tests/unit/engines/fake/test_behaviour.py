"""The fake worker's script: overrides, one-shot orders, repeatable chance."""

from __future__ import annotations

import msgspec
import pytest

from engines.fake.behaviour import Behaviour, Script, changed, header_overrides


def test_overrides_may_be_text() -> None:
    """Headers and options are text; they become numbers and truths."""
    assert changed(Behaviour(), {"exit-at": "3", "crlf": "true"}) == Behaviour(exit_at=3, crlf=True)


def test_an_unknown_override_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        changed(Behaviour(), {"explode": 1})


def test_only_fake_headers_count() -> None:
    assert header_overrides({"x-fake-ttft": "1", "x-request-id": "2"}) == {"ttft": "1"}


def test_one_shot_orders_come_before_the_standing_one() -> None:
    script = Script(Behaviour(), seed=0)
    script.rewrite({"set": {"tokens": 2}, "next": [{"status": 500}]})
    assert [script.take({}), script.take({})] == [Behaviour(tokens=2, status=500), Behaviour(tokens=2)]


def test_reset_forgets_everything() -> None:
    script = Script(Behaviour(tokens=2), seed=0)
    script.rewrite({"next": [{"status": 500}]})
    script.rewrite({"reset": True})
    assert script.take({}) == Behaviour()


def test_chance_is_repeatable() -> None:
    assert Script(Behaviour(), seed=5).draw() == Script(Behaviour(), seed=5).draw()
