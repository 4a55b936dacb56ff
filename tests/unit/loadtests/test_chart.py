"""The report as a picture."""

from xml.etree import ElementTree as ET

from loadtests.bench.chart import Panel, draw

SVG = "{http://www.w3.org/2000/svg}"


def _drawn(values: dict[str, float]) -> ET.Element:
    return ET.fromstring(draw([Panel("CPU <per> request", values, {})]))  # noqa: S314  (our own text)


def test_the_picture_is_well_formed_and_names_every_contestant() -> None:
    """Titles are escaped."""
    texts = [text.text for text in _drawn({"nginx": 20.0, "enginehouse": 60.0}).iter(f"{SVG}text")]

    assert {"CPU <per> request", "nginx", "enginehouse", "20.0", "60.0"} == set(texts)


def test_bars_grow_with_their_values() -> None:
    """The cheapest comes first."""
    widths = [float(bar.get("width", "0")) for bar in _drawn({"b": 900.0, "a": 20.0, "c": 15_000.0}).iter(f"{SVG}rect")]

    assert widths == sorted(widths)
    assert widths[0] > 0


def test_a_panel_without_values_is_left_out() -> None:
    """A run of a few scenarios draws what it has."""
    assert list(_drawn({}).iter(f"{SVG}text")) == []


def test_one_value_can_be_drawn() -> None:
    """A scale of one point has no span."""
    assert len(list(_drawn({"nginx": 20.0}).iter(f"{SVG}rect"))) == 1
