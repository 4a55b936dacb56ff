"""The retry budget."""

from __future__ import annotations

import pytest

from gateway.balance.retry import budget


@pytest.mark.parametrize(("active", "expected"), [(0, 3), (1, 3), (15, 3), (20, 4), (100, 20), (1009, 201)])
def test_a_fifth_of_what_is_active_and_never_less_than_three(active, expected):
    """A pool that fails as a whole is not helped by twice the load."""
    assert budget(active) == expected
