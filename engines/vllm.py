"""How to talk to vLLM (0.32): its command line, environment variables, calls and request bodies. Pure.

The launcher runs what `launch` builds, the prober and the ledger send its calls, and the gateway passes every
request through `prepare`. Sources: `vllm/entrypoints/launchers/cli_args.py`, `vllm/engine/arg_utils.py`,
`vllm/envs.py`, `vllm/entrypoints/serve/lora/api_router.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from engines.continuing import by_text, by_token_ids
from engines.engine import Capabilities, HttpCall, Interrupted, Launch, LaunchPlan, MetricNames, one_token
from engines.flags import Spelling, requests, spelled
from engines.splice import with_fields

_DEFAULT_SEQUENCES: Final = 256
"""Requests that run at once where the registry does not say. vLLM's own default differs by hardware (128 on CPU,
256, 1024), so it is always passed: the gateway's bound and the engine's must agree."""

_KV_CACHE: Final = 1024**3
"""Bytes where nobody decided: vLLM's CPU build takes nearly all of the machine if it is not told."""

_QUIET_PATHS: Final = "/health,/metrics"
"""Probed for ever; without this they drown the log whose tail we show."""


_TOOL_PARSER: Final = "hermes"

_SPELLING: Final = Spelling("vllm", negates=lambda _: True)
"""`FlexibleArgumentParser` has `--no-x` for whatever is true or false (engine/arg_utils.py)."""


class VLLMEngine:
    """Invariant: stateless; equal arguments give equal answers."""

    name: Final = "vllm"
    capabilities: Final = Capabilities(
        paths=frozenset(
            {
                "/v1/chat/completions",
                "/v1/completions",
                "/v1/responses",
                "/v1/messages",
                "/v1/messages/count_tokens",
                "/tokenize",
                "/detokenize",
            }
        ),
        hot_adapters=True,
        token_ids=frozenset({"/v1/chat/completions", "/v1/completions"}),
    )
    metrics: Final = MetricNames(
        running="vllm:num_requests_running",
        waiting="vllm:num_requests_waiting",
        prompt_tokens="vllm:prompt_tokens_total",
        generation_tokens="vllm:generation_tokens_total",
        # A prompt is counted with its first token; its chunks are seen by the blocks that they take (v1/metrics).
        progress=("vllm:kv_cache_usage_perc",),
    )

    dead_statuses: Final = frozenset({503})
    """vllm/entrypoints/serve/instrumentator/health.py: exactly on `EngineDeadError`."""
    health_takes: Final = 0.0

    def launch(self, plan: LaunchPlan) -> Launch:
        """The module is started, not the `vllm` script: that one fails in the CPU build (MODELS.md)."""
        flags = _own_flags(plan) | _defaults(plan) | spelled(plan.options) | _sleeping(plan)
        words = _SPELLING.argv(flags)
        start = (str(plan.python), "-m", "vllm.entrypoints.openai.api_server")
        return Launch((*start, *words), _variables(plan), starter=len(start))

    def capacity(self, options: Mapping[str, object]) -> int:
        """`max_num_seqs`; what comes beyond it would wait inside the engine, out of the balancer's sight."""
        return requests(spelled(options).get("max-num-seqs"), _DEFAULT_SEQUENCES)

    def continues(self, options: Mapping[str, object]) -> bool:
        """Not behind a reasoning parser, nor behind a tool parser other than ours, which leaves a chat without tools
        alone (parser/abstract_parser.py): what such a parser swallows, a continued completion would show.
        """
        given = spelled(options)
        return "reasoning-parser" not in given and given.get("tool-call-parser", _TOOL_PARSER) == _TOOL_PARSER

    def health(self) -> HttpCall:
        """200; 503 once the engine process behind the server is dead."""
        return HttpCall("GET", "/health")

    def awake(self, health: bytes) -> bool:
        """The status says all; that it sleeps is told elsewhere (`/is_sleeping`)."""
        return True

    def warm_up(self, served_name: str) -> HttpCall:
        """One token of a plain completion."""
        return one_token(served_name)

    def load_adapter(self, name: str, path: Path) -> HttpCall:
        """200 with a text once the engine has read the files and the adapter has a slot; 400 if the name is taken, 404
        if the path does not exist, 500 for whatever the engine finds wrong with it.

        Read in `entrypoints/openai/models/serving.py` and `lora/worker_manager.py`, and run: 0.3 s for a rank 4 adapter
        on CPU, between two steps of the engine. The KV cache is keyed by name and path (`v1/core/kv_cache_utils.py`):
        a revision of ours has both for itself.
        """
        body = {"lora_name": name, "lora_path": str(path)}
        return HttpCall("POST", "/v1/load_lora_adapter", msgspec.json.encode(body))

    def unload_adapter(self, name: str) -> HttpCall:
        """200 with a text; 404 if it is not there.

        It takes the name away from the server, no more: requests that run go on with it, and the engine keeps the
        weights in its cache of `--max-cpu-loras` until another load drives the least recently used out. So an engine
        may drop one that is still named; it reads it again, from its path, for the next request: slower, never wrong.
        """
        return HttpCall("POST", "/v1/unload_lora_adapter", msgspec.json.encode({"lora_name": name}))

    def sleep(self) -> HttpCall:
        """Needs `--enable-sleep-mode` and VLLM_SERVER_DEV_MODE=1; the CPU build answers 200 and does nothing."""
        return HttpCall("POST", "/sleep?level=1")

    def wake(self) -> HttpCall:
        """As `sleep`."""
        return HttpCall("POST", "/wake_up")

    def abort(self) -> None:
        """No call: a request ends with its connection."""

    def prepare(self, body: bytes, *, served_name: str | None, want_usage: bool, want_ids: bool = False) -> bytes:
        """`body` itself where nothing changes, else spliced. Raises `msgspec.DecodeError` if it is no JSON object."""
        if served_name is None and not want_usage and not want_ids:
            return body
        return with_fields(body, model=served_name, include_usage=want_usage, token_ids=want_ids)

    def continuation(self, interrupted: Interrupted) -> HttpCall | None:
        """By token ids always, for they say exactly what the first worker had; a chat can also go on by its text."""
        return by_token_ids(interrupted) if interrupted.prompt else by_text(interrupted)


def _own_flags(plan: LaunchPlan) -> dict[str, object]:
    """What Enginehouse decides; the registry refuses these as options."""
    flags: dict[str, object] = {
        "model": str(plan.weights),
        "served-model-name": plan.served_name,
        "host": plan.host,
        "port": plan.port,
    }
    if plan.trust_remote_code:
        flags["trust-remote-code"] = True
    if plan.context is not None:
        flags["max-model-len"] = plan.context
    if plan.adapter_slots > 0:
        flags |= {
            "enable-lora": True,
            "max-loras": plan.adapter_slots,
            "max-cpu-loras": plan.adapter_slots,
            "max-lora-rank": _rank_step(plan.adapter_max_rank),
        }
    if plan.adapters:
        flags["lora-modules"] = [f"{name}={path}" for name, path in plan.adapters.items()]
    return flags


def _sleeping(plan: LaunchPlan) -> dict[str, object]:
    """What `sleep` needs, whatever the options say."""
    return {"enable-sleep-mode": True} if plan.sleeps else {}


def _defaults(plan: LaunchPlan) -> dict[str, object]:
    """What holds unless the registry's options say otherwise."""
    given = spelled(plan.options)
    flags: dict[str, object] = {
        "max-num-seqs": _DEFAULT_SEQUENCES,
        "disable-access-log-for-endpoints": _QUIET_PATHS,
    }
    if plan.device == "cpu":
        flags["kv-cache-memory-bytes"] = plan.kv_cache or _KV_CACHE
    if given.get("enable-auto-tool-choice", True):
        # Without a parser vLLM refuses every request with tools and `tool_choice: auto`, which is the openai
        # client's default. Hermes' <tool_call> JSON is what most small instruct models are trained on.
        # The level makes a forced call's arguments match the tool's parameters, as OpenAI's clients expect.
        flags |= {"enable-auto-tool-choice": True, "tool-call-parser": _TOOL_PARSER, "tool-strict-level": "parameter"}
    return flags


def _variables(plan: LaunchPlan) -> dict[str, str]:
    """The weights are on disk already, so nothing is looked up; no usage is reported; the key stays out of argv."""
    variables = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # Strict, vLLM 0.32 constrains a forced call to the parser's own syntax but not its arguments to the schema:
        # SmolLM2's named call came back as text. Without, the schema is the grammar, and forced calls always parse.
        "VLLM_ENFORCE_STRICT_TOOL_CALLING": "0",
    }
    if plan.key:
        variables["VLLM_API_KEY"] = plan.key
    if plan.sleeps:
        # Opens `/sleep` and `/wake_up`, and more that nobody may call: only where sleep is configured.
        variables["VLLM_SERVER_DEV_MODE"] = "1"
    if plan.adapter_slots > 0:
        variables["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"
    if plan.device == "cpu":
        # Even with --enforce-eager the logprobs code is compiled at its first use: a stall of many seconds.
        variables["TORCH_COMPILE_DISABLE"] = "1"
        if plan.threads is not None:
            variables |= _unbound(plan.threads)
    return variables


def _unbound(threads: int) -> dict[str, str]:
    """Threads for the kernel to place. vLLM binds them to the first cores (utils/ompmultiprocessing.py), in each worker
    to the same ones: beside a busy worker a second one got no CPU there and never came up. Threads that wait must
    sleep, for another worker may have work for their core.
    """
    return {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


_RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""`--max-lora-rank` takes only these (vllm/config/lora.py)."""


def _rank_step(rank: int) -> int:
    return next((step for step in _RANKS if step >= rank), rank)


VLLM: Final = VLLMEngine()
