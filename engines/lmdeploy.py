"""How to talk to LMDeploy (0.18): its command line, environment variables, calls and request bodies. Pure.

Read in its wheel, under lmdeploy; accepted by its real parser (tests/contract/test_lmdeploy_parser.py); not run on a
GPU. Flags: cli/serve.py, cli/utils.py. Calls: serve/openai/endpoints/management.py. Health: serve/core/health.py. Keys
and sleep: serve/utils/server_utils.py. Fields: serve/openai/protocol.py. Weights: turbomind/converter.py,
pytorch/config.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from engines import keys
from engines.engine import Capabilities, HttpCall, Interrupted, Launch, LaunchPlan, MetricNames, one_token
from engines.flags import Spelling, requests, spelled
from engines.splice import renamed, with_fields

_MODULE: Final = "lmdeploy"
_VERBS: Final = ("serve", "api_server")

_DEFAULT_BATCH: Final = 256
"""Requests that run at once where the registry does not say. LMDeploy's own default differs by GPU (128, 384, 1024;
utils.py `get_max_batch_size`), so it is always passed: the gateway's bound and the engine's must agree."""

_TOOL_PARSER: Final = "qwen"
"""Hermes' <tool_call> JSON (serve/parsers/tool_parser/qwen3_tool_parser.py), what most small models are trained on."""

_FORMATS: Final[Mapping[str, str]] = {
    "awq": "awq",
    "gptq": "gptq",
    "fp8": "fp8",
    "w4a16": "compressed-tensors",
}
"""By layout: `--model-format`. What is missing is found in the checkpoint's own config."""

_SPELLING: Final = Spelling("lmdeploy", negates=lambda _: False)
"""Every truth value of its parser is `store_true`."""

_FIELDS: Final = {"min_tokens": "min_new_tokens"}
"""What clients of vLLM say, and LMDeploy calls otherwise; it passes over what it does not know."""


class LMDeployEngine:
    """Invariant: stateless; equal arguments give equal answers."""

    name: Final = "lmdeploy"
    capabilities: Final = Capabilities(
        paths=frozenset(
            {
                "/v1/chat/completions",
                "/v1/completions",
                "/v1/responses",
                "/v1/messages",
                "/v1/messages/count_tokens",
            }
        ),
        hot_adapters=False,
    )
    metrics: Final = MetricNames(
        running="lmdeploy:num_requests_running",
        waiting="lmdeploy:num_requests_waiting",
        prompt_tokens="lmdeploy:prompt_tokens_total",
        generation_tokens="lmdeploy:generation_tokens_total",
        progress=("lmdeploy:gpu_cache_usage_perc",),
    )

    dead_statuses: Final[frozenset[int]] = frozenset()
    """503 is also a scheduler that has not moved for 90 s, and it may move again."""
    health_takes: Final = 0.0
    """The monitor's last finding; where that is bad, it probes once more, for 10 s at most, and is bad anyway."""

    def launch(self, plan: LaunchPlan) -> Launch:
        """Started by `keyed.py`, because the key is a flag. The backend is PyTorch's where adapters are wanted."""
        given = spelled(plan.options)
        flags = _own_flags(plan) | _defaults(plan) | given
        start = keys.keyed(plan, _MODULE, "--api-keys")
        words = (*_VERBS, str(plan.weights), *_SPELLING.argv(flags))
        return Launch((*start, *words), _variables(plan), starter=len(start))

    def capacity(self, options: Mapping[str, object]) -> int:
        """`max_batch_size`."""
        return requests(spelled(options).get("max-batch-size"), _DEFAULT_BATCH)

    def continues(self, options: Mapping[str, object]) -> bool:
        """Never: a list of token ids is read as many prompts, and a chat's last message cannot be left open."""
        return False

    def health(self) -> HttpCall:
        """Needs no key. 503 where the engine has made no progress for 90 s."""
        return HttpCall("GET", "/health")

    def awake(self, health: bytes) -> bool:
        """A sleeping engine answers 200 too: the body says `sleeping`, and a young one's `initializing`."""
        try:
            return msgspec.json.decode(health, type=_Health).status == "healthy"
        except msgspec.DecodeError:
            return False

    def warm_up(self, served_name: str) -> HttpCall:
        """One token of a plain completion."""
        return one_token(served_name)

    def load_adapter(self, name: str, path: Path) -> None:
        """No call: adapters are named when it starts (`LaunchPlan.adapters`)."""

    def unload_adapter(self, name: str) -> None:
        """No call: as for loading."""

    def sleep(self) -> HttpCall:
        """Weights to the host's memory, the cache dropped. It wants a JSON body, and reads none."""
        return HttpCall("POST", "/sleep?level=1", b"{}")

    def wake(self) -> HttpCall:
        """As `sleep`; without tags everything comes back."""
        return HttpCall("POST", "/wakeup", b"{}")

    def abort(self) -> HttpCall:
        """Every session ends; needs `--enable-abort-handling`, which every worker of ours has."""
        return HttpCall("POST", "/abort_request", b'{"abort_all":true}')

    def prepare(self, body: bytes, *, served_name: str | None, want_usage: bool, want_ids: bool = False) -> bytes:
        """`body` itself where nothing changes, else spliced. Raises `msgspec.DecodeError` if it is no JSON object."""
        if served_name is not None or want_usage or want_ids:
            body = with_fields(body, model=served_name, include_usage=want_usage, token_ids=want_ids)
        return renamed(body, _FIELDS)

    def continuation(self, interrupted: Interrupted) -> None:
        """No call, see `continues`."""


class _Health(msgspec.Struct):
    status: str


def _own_flags(plan: LaunchPlan) -> dict[str, object]:
    """What Enginehouse decides; the registry refuses these as options."""
    flags: dict[str, object] = {
        "model-name": plan.served_name,
        "server-name": plan.host,
        "server-port": plan.port,
        "enable-abort-handling": True,
    }
    if plan.layout in _FORMATS:
        flags["model-format"] = _FORMATS[plan.layout]
    if plan.trust_remote_code:
        flags["trust-remote-code"] = True
    if plan.context is not None:
        flags["session-len"] = plan.context
    if plan.adapters:
        flags["adapters"] = [f"{name}={path}" for name, path in plan.adapters.items()]
    return flags


def _defaults(plan: LaunchPlan) -> dict[str, object]:
    """What holds unless the registry's options say otherwise."""
    return {
        # Only PyTorch's engine has adapters. TurboMind, asked for, gives way to PyTorch's where it lacks the model.
        "backend": "pytorch" if plan.adapter_slots > 0 or plan.adapters else "turbomind",
        "max-batch-size": _DEFAULT_BATCH,
        # The others cache prefixes without being told.
        "enable-prefix-caching": True,
        # Without a parser it refuses every request with tools (serve/openai/chat_completions/validation.py).
        "tool-call-parser": _TOOL_PARSER,
    }


def _variables(plan: LaunchPlan) -> dict[str, str]:
    """Nothing is looked up, for the weights are on disk; probes do not fill the log; the key stays out of argv."""
    quiet = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1", "UVICORN_LOG_LEVEL": "warning"}
    return quiet | keys.variables(plan)


LMDEPLOY: Final = LMDeployEngine()
