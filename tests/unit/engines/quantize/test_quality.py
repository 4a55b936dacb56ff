"""What quantization cost, kept beside the weights."""

import json

from engines.quantize.quality import Quality, read, write

QUALITY = Quality(20.0, 21.0, 100, "text", 0.93, 0.02, "awq", "tuned rounding (auto-round)")


def test_the_ratio_is_quantized_by_source():
    """1.05: five percent more perplexity."""
    assert QUALITY.ratio == 1.05


def test_quality_is_read_back_as_it_was_written(tmp_path):
    """And the file shows the ratio to people."""
    write(QUALITY, tmp_path)
    assert read(tmp_path) == QUALITY
    assert json.loads((tmp_path / "quality.json").read_text())["ratio"] == 1.05


def test_a_report_of_an_older_version_is_readable(tmp_path):
    """It has perplexities only; what it does not say is not known."""
    old = {"source_perplexity": 20.0, "perplexity": 21.0, "tokens": 100, "text_sha256": "text", "ratio": 1.05}
    (tmp_path / "quality.json").write_text(json.dumps(old))
    assert read(tmp_path) == Quality(20.0, 21.0, 100, "text")
    assert (read(tmp_path).top1, read(tmp_path).kl, read(tmp_path).algorithm) == (None, None, "")


def test_no_quality_is_no_error(tmp_path):
    """Checkpoints that we did not quantize have none, and a damaged note must not stop a worker."""
    assert read(tmp_path) is None
    (tmp_path / "quality.json").write_text("{")
    assert read(tmp_path) is None
