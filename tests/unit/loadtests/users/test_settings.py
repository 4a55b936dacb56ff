"""What a load test's variables mean."""

from __future__ import annotations

import pytest

from loadtests.users.settings import Limits, Mistaken, Settings, read_settings


def test_nothing_said_means_that_no_request_may_fail():
    assert read_settings({"MODEL": "", "MAX_P95": " "}) == Settings(limits=Limits(fail_ratio=0.0))


def test_times_have_a_unit():
    limits = read_settings({"MAX_P95": "2s", "MAX_TTFT_P95": "300ms", "TIMEOUT": "500ms"})
    assert (limits.limits.p95, limits.limits.ttft_p95, limits.timeout) == (2000, 300, 0.5)


def test_the_key_is_not_shown():
    settings = read_settings({"API_KEY": "sk-1"})
    assert settings.key == "sk-1"
    assert "sk-1" not in repr(settings)


def test_every_fault_is_named_at_once():
    """2000 without a unit could be seconds, and a limit that never bites is worse than none."""
    said = {"MAX_P95": "2000", "MAX_FAIL_RATIO": "2", "SEED": "x", "MAX_TOKENS": "nan", "EXTRA": "[1]"}
    with pytest.raises(Mistaken) as mistaken:
        read_settings(said)
    assert all(f"{name}={value}" in str(mistaken.value) for name, value in said.items())
