"""What a layout says of itself."""

from engines.quantize.layout import AWQ, FP8, GPTQ, NONE, W4A16, W8A8, quickened


def test_none_has_nothing_to_pack():
    """Weights are served as they are."""
    assert not NONE.is_packed
    assert (NONE.algorithm, NONE.sentence) == ("none", "as the source")


def test_layout_and_algorithm_are_told_apart():
    """AWQ's layout with tuned rounding is not the algorithm AWQ."""
    assert {each.algorithm for each in (AWQ, GPTQ, W4A16)} == {"tuned rounding (auto-round)"}
    assert {each.algorithm for each in (W8A8, FP8)} == {"round-to-nearest"}
    assert AWQ.sentence == "4 bits, groups of 32, asymmetric"
    assert W8A8.sentence == "8 bits, a scale each row, symmetric"


def test_a_quickened_layout_differs_only_in_the_search():
    """A test's checkpoint loads like the real one."""
    quick = quickened(AWQ, iterations=1, samples=8)
    assert quick.tuning is not None
    assert (quick.tuning.iterations, quick.tuning.samples) == (1, 8)
    assert (quick.name, quick.group_size) == (AWQ.name, AWQ.group_size)
    assert quickened(NONE, 1, 1) == NONE
