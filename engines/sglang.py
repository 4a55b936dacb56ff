"""How to talk to SGLang (0.5.23): its command line, environment variables, calls and request bodies. Pure.

Read in its wheel, under sglang/srt; accepted by its real parser (tests/contract/test_sglang_parser.py); not run on a
GPU. Flags: server_args.py, arg_groups/fields/. Cross-field rules: arg_groups/lora_hook.py. Calls:
entrypoints/http_server.py, managers/io_struct.py. Names of adapters: entrypoints/openai/serving_base.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from engines import keys
from engines.continuing import by_token_ids
from engines.engine import Capabilities, HttpCall, Interrupted, Launch, LaunchPlan, MetricNames, one_token
from engines.flags import Spelling, requests, spelled
from engines.splice import renamed, with_fields

_MODULE: Final = "sglang.launch_server"

_DEFAULT_REQUESTS: Final = 256
"""Requests that run at once where the registry does not say; SGLang's own default follows from memory, which the
gateway's bound could not know."""

_QUIET_PATHS: Final = ("/health", "/metrics", "/v1/models")
"""Probed for ever; without this they drown the log whose tail we show."""

_NEGATABLE: Final = frozenset(
    {
        "enable-tf32-matmul",
        "ple-offload-embedding",
        "dllm-fdfo",
        "experts-shared-outer-loras",
        "lora-strict-loading",
        "mm-enable-dp-encoder",
    }
)
"""The flags that are `BooleanOptionalAction` (arg_groups/fields); all other truth values can only be said."""

_SPELLING: Final = Spelling("sglang", negates=_NEGATABLE.__contains__)

_FIELDS: Final = {"include_stop_str_in_output": "no_stop_trim"}
"""What clients of vLLM say, and SGLang calls otherwise (entrypoints/openai/protocol.py)."""


class SGLangEngine:
    """Invariant: stateless; equal arguments give equal answers."""

    name: Final = "sglang"
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
        # A chat's stream is refused with `return_token_ids` (serving_chat.py `_generate_chat_stream`).
        token_ids=frozenset({"/v1/completions"}),
    )
    metrics: Final = MetricNames(
        running="sglang:num_running_reqs",
        waiting="sglang:num_queue_reqs",
        prompt_tokens="sglang:prompt_tokens_total",
        generation_tokens="sglang:generation_tokens_total",
        # Both totals are counted when a request has ended (observability/metrics_collector.py): while it runs, the
        # tokens that the cache holds and the scheduler's own count move.
        progress=("sglang:num_used_tokens", "sglang:realtime_tokens_total", "sglang:token_usage"),
    )

    dead_statuses: Final[frozenset[int]] = frozenset()
    """503 is also what a server says that starts, stops, or waits for its scheduler: none of it is for ever."""
    health_takes: Final = 3.0
    """`/health` generates a token and looks for it in steps of a second; a busy event loop makes that two."""

    def launch(self, plan: LaunchPlan) -> Launch:
        """Started by `keyed.py`, because the key is a flag. The module is what `sglang serve` runs."""
        flags = _own_flags(plan) | _defaults(plan) | spelled(plan.options) | _sleeping(plan)
        start = keys.keyed(plan, _MODULE, "--api-key")
        return Launch((*start, *_SPELLING.argv(flags)), _variables(plan), starter=len(start))

    def capacity(self, options: Mapping[str, object]) -> int:
        """`max_running_requests`; the engine takes fewer where its memory holds fewer, and queues the rest."""
        return requests(spelled(options).get("max-running-requests"), _DEFAULT_REQUESTS)

    def continues(self, options: Mapping[str, object]) -> bool:
        """Not behind a reasoning parser: what it swallows, a continued completion would show."""
        return "reasoning-parser" not in spelled(options)

    def health(self) -> HttpCall:
        """200 after a real token, at least a second later; 503 while it starts or stops, and after 20 s without."""
        return HttpCall("GET", "/health")

    def awake(self, health: bytes) -> bool:
        """One that gave its memory back makes no token, so that `/health` fails by itself."""
        return True

    def warm_up(self, served_name: str) -> HttpCall:
        """One token of a plain completion."""
        return one_token(served_name)

    def load_adapter(self, name: str, path: Path) -> HttpCall:
        """200 with `{"success": true, …}`; 400 with `error_message` if it cannot be."""
        body = {"lora_name": _own_name(name), "lora_path": str(path)}
        return HttpCall("POST", "/load_lora_adapter", msgspec.json.encode(body))

    def unload_adapter(self, name: str) -> HttpCall:
        """200; 400 if it is not there."""
        return HttpCall("POST", "/unload_lora_adapter", msgspec.json.encode({"lora_name": _own_name(name)}))

    def sleep(self) -> HttpCall:
        """Needs `--enable-memory-saver`; the body must be an object."""
        return HttpCall("POST", "/release_memory_occupation", b"{}")

    def wake(self) -> HttpCall:
        """As `sleep`."""
        return HttpCall("POST", "/resume_memory_occupation", b"{}")

    def abort(self) -> HttpCall:
        """Every answer ends, some of them with a good-looking `finish_reason: "abort"`: the gateway knows it."""
        return HttpCall("POST", "/abort_request", b'{"abort_all":true}')

    def prepare(self, body: bytes, *, served_name: str | None, want_usage: bool, want_ids: bool = False) -> bytes:
        """`body` itself where nothing changes, else spliced. Raises `msgspec.DecodeError` if it is no JSON object.

        `base:adapter`, which is how SGLang asks for an adapter, is also how the house calls it: nothing to do.
        """
        if served_name is not None or want_usage or want_ids:
            body = with_fields(body, model=served_name, include_usage=want_usage, token_ids=want_ids)
        return renamed(body, _FIELDS)

    def continuation(self, interrupted: Interrupted) -> HttpCall | None:
        """By token ids alone, which only a completion's stream tells; a chat's text could be tokenized otherwise."""
        return by_token_ids(interrupted) if interrupted.prompt else None


def _own_name(name: str) -> str:
    """Of an adapter: what follows the colon. SGLang splits `base:adapter` of a request at the served name."""
    return name.partition(":")[2] or name


def _own_flags(plan: LaunchPlan) -> dict[str, object]:
    """What Enginehouse decides; the registry refuses these as options."""
    flags: dict[str, object] = {
        "model-path": str(plan.weights),
        "served-model-name": plan.served_name,
        "host": plan.host,
        "port": plan.port,
        "enable-metrics": True,
    }
    if plan.trust_remote_code:
        flags["trust-remote-code"] = True
    if plan.context is not None:
        flags["context-length"] = plan.context
    if plan.adapter_slots > 0:
        # A batch's adapters are counted with the bare model as one more. What is loaded cannot be fewer.
        slots = plan.adapter_slots + 1
        flags |= {
            "enable-lora": True,
            "max-loras-per-batch": slots,
            "max-loaded-loras": slots,
            "max-lora-rank": plan.adapter_max_rank,
        }
    if plan.adapters:
        flags["lora-paths"] = [f"{_own_name(name)}={path}" for name, path in plan.adapters.items()]
    return flags


def _sleeping(plan: LaunchPlan) -> dict[str, object]:
    """What `sleep` needs, whatever the options say. Without a copy on the host the weights that come back are whatever
    lies there (model_executor/model_runner_components/load_model_utils.py): it expects them to be sent anew.
    """
    return {"enable-memory-saver": True, "enable-weights-cpu-backup": True} if plan.sleeps else {}


def _defaults(plan: LaunchPlan) -> dict[str, object]:
    """What holds unless the registry's options say otherwise."""
    flags: dict[str, object] = {
        "max-running-requests": _DEFAULT_REQUESTS,
        "uvicorn-access-log-exclude-prefixes": _QUIET_PATHS,
        # Without a parser a call of a tool comes back as text. `auto` finds it by the chat template.
        "tool-call-parser": "auto",
    }
    if plan.adapter_slots > 0:
        # With none loaded at the start it must be told what adapters may touch (arg_groups/lora_hook.py).
        flags["lora-target-modules"] = ["all"]
    return flags


def _variables(plan: LaunchPlan) -> dict[str, str]:
    """The weights are on disk already, so nothing is looked up; the key stays out of argv."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    return offline | keys.variables(plan)


SGLANG: Final = SGLangEngine()
