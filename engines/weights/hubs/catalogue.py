"""Every hub, by the scheme of its sources. Called by `prepare`, the composition root of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engines.progress import Report, silent
from engines.weights.hubs.hub import Hub
from engines.weights.hubs.huggingface import HuggingFace
from engines.weights.hubs.modelscope import ModelScope
from engines.weights.hubs.plain import Plain
from engines.weights.hubs.s3 import S3, signing


def hubs(environ: Mapping[str, str], cache: Path, report: Report = silent) -> Mapping[str, Hub]:
    """By scheme; endpoints and tokens are those of `environ`, tools are installed below `cache`."""
    return {
        "hf": HuggingFace(environ),
        "modelscope": ModelScope(environ),
        "s3": S3(signing(cache, environ, report)),
        "https": Plain(),
        "http": Plain(),
    }
