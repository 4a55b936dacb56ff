"""What quantization cost, kept beside the weights."""

import json

import pytest

from engines.quantize.quality import Perplexity, Quality, compared, read, write

SOURCE = Perplexity(20.0, 100, "text")
PACKED = Perplexity(21.0, 100, "text")


def test_the_ratio_is_quantized_by_source():
    """1.05: five percent more perplexity."""
    assert compared(SOURCE, PACKED).ratio == pytest.approx(1.05)


@pytest.mark.parametrize("other", [Perplexity(21.0, 99, "text"), Perplexity(21.0, 100, "another")])
def test_figures_of_different_texts_are_not_compared(other):
    """A ratio of two texts means nothing."""
    with pytest.raises(ValueError, match="different texts"):
        compared(SOURCE, other)


def test_quality_is_read_back_as_it_was_written(tmp_path):
    """And the file shows the ratio to people."""
    quality = Quality(20.0, 21.0, 100, "text")
    write(quality, tmp_path)
    assert read(tmp_path) == quality
    assert json.loads((tmp_path / "quality.json").read_text())["ratio"] == 1.05


def test_no_quality_is_no_error(tmp_path):
    """Checkpoints that we did not quantize have none, and a damaged note must not stop a worker."""
    assert read(tmp_path) is None
    (tmp_path / "quality.json").write_text("{")
    assert read(tmp_path) is None
