"""The fake worker as each `Engine`, so that a supervisor can start it as it starts them. For tests and load tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import engines
from engines.engine import Launch, LaunchPlan
from engines.flags import requests
from engines.lmdeploy import LMDeployEngine
from engines.sglang import SGLangEngine
from engines.vllm import VLLMEngine

_SOURCE: Final = str(Path(engines.__file__).parent.parent)


class FakeEngine(VLLMEngine):
    """VLLM's calls and bodies over `python -m engines.fake`; the registry's options are the script."""

    def launch(self, plan: LaunchPlan) -> Launch:
        return _launch(plan, "vllm")

    def capacity(self, options: Mapping[str, object]) -> int:
        return _capacity(options)


class FakeSGLang(SGLangEngine):
    """The same with SGLang's."""

    def launch(self, plan: LaunchPlan) -> Launch:
        return _launch(plan, "sglang")

    def capacity(self, options: Mapping[str, object]) -> int:
        return _capacity(options)


class FakeLMDeploy(LMDeployEngine):
    """The same with LMDeploy's."""

    def launch(self, plan: LaunchPlan) -> Launch:
        launch = _launch(plan, "lmdeploy")
        adapters = (word for name, path in plan.adapters.items() for word in ("--adapter", f"{name}={path}"))
        return replace(launch, argv=(*launch.argv, *adapters))

    def capacity(self, options: Mapping[str, object]) -> int:
        return _capacity(options)


def _launch(plan: LaunchPlan, dialect: str) -> Launch:
    argv = [str(plan.python), "-m", "engines.fake", "--host", plan.host, "--port", str(plan.port)]
    argv += ["--dialect", dialect, "--served-name", plan.served_name]
    if plan.context is not None:
        argv += ["--context", str(plan.context)]
    for option, value in plan.options.items():
        flag = "--" + option.replace("_", "-")
        argv += [flag] if value is True else [flag, str(value)]
    return Launch(tuple(argv), {"VLLM_API_KEY": plan.key, "PYTHONPATH": _SOURCE})


def _capacity(options: Mapping[str, object]) -> int:
    return requests(options.get("max_num_seqs"), 256)
