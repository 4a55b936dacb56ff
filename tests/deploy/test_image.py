"""The gateway's image, made and run as deploy/Dockerfile says, in a clean Debian."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.check.__main__ import lacks


@pytest.mark.timeout(900)
@pytest.mark.skipif(bool(lacks()), reason=lacks())
def test_the_gateways_image_is_made_and_runs():
    """Every RUN and COPY is executed; then its own command serves, bounded as compose bounds it, until it is healthy.

    The engines' targets add one installation each, of gigabytes: those are run by hand (docs/deploy.md).
    """
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-m", "deploy.check", "gateway"], cwd=root, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-4000:]
    assert "it was healthy, bounded" in ended.stdout
