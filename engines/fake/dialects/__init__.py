"""How each engine spells the same job on the wire, found by name in `DIALECTS`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from engines.fake.dialects.dialect import Dialect
from engines.fake.dialects.lmdeploy import LMDEPLOY
from engines.fake.dialects.sglang import SGLANG
from engines.fake.dialects.vllm import VLLM

DIALECTS: Final[Mapping[str, Dialect]] = {"lmdeploy": LMDEPLOY, "sglang": SGLANG, "vllm": VLLM}
