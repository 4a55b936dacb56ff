"""What frequency that decays says."""

from __future__ import annotations

import pytest

from engines.ledger.rates import HALF_LIFE, Rates


def test_a_steady_stream_reads_as_its_rate():
    """Requests per second, so that bounds on it mean something."""
    rates = Rates()
    for second in range(int(10 * HALF_LIFE)):
        rates.served("a", 3, float(second))
    assert rates.at(10 * HALF_LIFE)["a"] == pytest.approx(3.0, rel=0.02)


def test_a_request_counts_half_after_a_half_life():
    """Recency."""
    rates = Rates()
    rates.served("a", 1, 0.0)
    assert rates.at(HALF_LIFE)["a"] == pytest.approx(rates.at(0.0)["a"] / 2)


def test_what_nobody_asks_for_is_forgotten():
    """Ten thousand adapters that were used once must not be remembered for ever."""
    rates = Rates()
    rates.served("a", 1, 0.0)
    assert [dict(rates.at(20 * HALF_LIFE)), dict(rates.at(0.0))] == [{}, {}]
