"""The fake worker's words: what they prove, and that they go through token ids unharmed."""

from __future__ import annotations

import pytest

from engines.fake.words import Vocabulary, WordsBroken, next_number, verify, word


def test_an_unbroken_text_is_counted() -> None:
    text = "".join(word(number, key=7) for number in range(1, 6))
    assert verify(text, key=7) == 5


@pytest.mark.parametrize("order", [[1, 3], [1, 2, 2], [2, 1], [1, 2, 4]])
def test_a_lost_doubled_or_reordered_word_is_seen(order: list[int]) -> None:
    with pytest.raises(WordsBroken):
        verify("".join(word(number) for number in order))


def test_a_word_of_another_stream_is_seen() -> None:
    """The checksum binds a word to its request's seed."""
    with pytest.raises(WordsBroken):
        verify(word(1, key=1) + word(2, key=2), key=1)


def test_half_a_word_at_the_end_is_seen() -> None:
    with pytest.raises(WordsBroken):
        verify(word(1) + word(2)[:5])


def test_a_prompt_that_ends_with_a_word_is_continued() -> None:
    assert next_number("a question\n" + word(1) + word(2)) == 3


def test_a_prompt_without_words_begins_at_one() -> None:
    assert next_number("what is the capital of France?") == 1


def test_text_survives_its_token_ids() -> None:
    text = "tell me,  please\n" + word(1, key=3) + word(2, key=3)
    vocabulary = Vocabulary()
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_our_own_words_need_no_memory_of_them() -> None:
    """A worker continues what another one began."""
    ids = Vocabulary().encode(word(41, key=3))
    assert Vocabulary().decode(ids) == word(41, key=3)
