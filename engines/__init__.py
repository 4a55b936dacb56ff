"""The control plane: knows engines, environments, weights and workers; never imports the gateway.

Exported is only what the gateway shares: the dialects, by the name that a registry uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engines.engine import Engine
from engines.lmdeploy import LMDEPLOY
from engines.sglang import SGLANG
from engines.vllm import VLLM

ENGINES: Final[Mapping[str, Engine]] = {"vllm": VLLM, "sglang": SGLANG, "lmdeploy": LMDEPLOY}
