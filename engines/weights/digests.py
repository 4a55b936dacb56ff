"""What a checkpoint is called in the cache: a digest of all that it depends on. Pure. Called by `prepare`, `shelf`."""

from __future__ import annotations

from dataclasses import asdict

from engines.quantize.layout import NONE, Layout
from engines.weights.cache import digest_of


def plain(source: str, tools: str) -> str:
    """Of the unquantized checkpoint that `tools` make of a source with this SHA-256."""
    return digest_of({"source": source, "tools": tools, "layout": NONE.name})


def packed(source: str, tools: str, layout: Layout, calibration: str = "") -> str:
    """Of the same, quantized to `layout`; `calibration` is the digest of the text where another is read than ours."""
    return digest_of({"source": source, "tools": tools, "layout": asdict(layout), "calibration": calibration})


def unmeasured(digest: str) -> str:
    """Of a quantized checkpoint as long as nothing is known of what it cost."""
    return digest_of({"unmeasured": digest})
