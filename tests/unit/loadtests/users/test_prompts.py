"""What users ask."""

from __future__ import annotations

from loadtests.users.prompts import Asker


def asked(seed: int, user: int) -> list[str]:
    asker = Asker(seed, user)
    return [asker.prompt() for _ in range(50)]


def test_the_same_seed_asks_the_same():
    assert asked(1, 2) == asked(1, 2)


def test_users_and_seeds_ask_different_things():
    """Otherwise a prefix cache answers, and the load test measures that."""
    assert len({*asked(1, 1), *asked(1, 2), *asked(2, 1)}) > 140


def test_prompts_have_different_lengths():
    lengths = [len(prompt) for prompt in asked(0, 0)]
    assert max(lengths) > 3 * min(lengths)
