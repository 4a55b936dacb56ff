"""How figures of several processes add up, and that nothing that only grows falls."""

from __future__ import annotations

from registry.figures import Counted, Family, Series, Sum, Summed, lasting, not_below, total
from registry.orders import answer, decode, encode


def counter(*series: tuple[tuple[str, ...], float], name: str = "requests") -> Family:
    found = tuple(Series(labels, (value,)) for labels, value in series)
    return Family(name, "Requests", "counter", ("model",) if series else (), series=found)


def gauge(value: float) -> Family:
    return Family("inflight", "Open", "gauge", series=(Series((), (value,)),))


def histogram(*values: float) -> Family:
    return Family("seconds", "Took", "histogram", bounds=("1.0", "+Inf"), series=(Series((), values),))


def test_equal_labels_are_added_and_others_kept():
    first, second = counter((("a",), 1), (("b",), 2)), counter((("b",), 3), (("c",), 4))
    assert total([[first], [second]]) == (counter((("a",), 1), (("b",), 5), (("c",), 4)),)


def test_histograms_are_added_bucket_by_bucket():
    assert total([[histogram(1, 2, 3.5)], [histogram(0, 4, 9.0)]]) == (histogram(1, 6, 12.5),)


def test_a_process_that_has_counted_nothing_takes_nothing_away():
    """It does not even know the names of the labels."""
    full = counter((("a",), 1))
    assert total([[counter()], [full]]) == total([[full], [counter()]]) == (full,)


def test_a_family_that_only_one_knows_is_in_the_sum():
    other = counter((("a",), 7), name="tokens")
    assert total([[counter((("a",), 1))], [other], []]) == (counter((("a",), 1)), other)


def test_nobody_sums_to_nothing():
    assert total([]) == ()


def test_what_is_open_ends_with_its_process():
    assert lasting([gauge(3), histogram(1, 1, 0.5)]) == (histogram(1, 1, 0.5),)


def test_a_sum_of_floats_in_another_order_does_not_fall():
    """0.1 + (0.2 + 0.3) is less than (0.1 + 0.2) + 0.3 by the last bit, and Prometheus would see a new start."""
    before = total([[histogram(0, 2, (0.1 + 0.2) + 0.3)]])
    after = total([[histogram(0, 2, 0.1 + (0.2 + 0.3))]])
    assert after[0].series[0].values[2] < before[0].series[0].values[2]
    assert not_below(after, before) == before


def test_what_grows_grows_and_gauges_may_fall():
    assert not_below([counter((("a",), 5)), gauge(1)], [counter((("a",), 4)), gauge(2)]) == (
        counter((("a",), 5)),
        gauge(1),
    )


def test_they_cross_the_control_socket():
    families = (counter((("é\n",), 2.0)), histogram(1.0, 2.0, 0.1 + 0.2))
    assert decode(encode(Sum())) == Sum()
    assert decode(encode(Counted(7, families))) == Counted(7, families)
    assert answer(encode(Summed(families, 2, 1))) == Summed(families, 2, 1)
