"""The registry that the benchmark publishes."""

from loadtests.bench.control import catalogue
from registry.snapshot import Names


def test_a_catalogue_holds_as_many_names_as_asked() -> None:
    """Every name resolves; the first model is the one that the load asks for."""
    names = Names(catalogue(9000, models=100, aliases=1000))

    assert len(names.listed()) == 1100
    assert names.resolve("mock") is not None
