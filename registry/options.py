"""Which of an engine's own flags a registry may set in `options.<engine>`, and how they are spelled.

Enginehouse decides some flags itself; setting them twice would start a worker that nobody can reach. Flags that
name code are refused: a registry never names code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_CODE: Final = "it names code to run, and a registry never does"
_ADDRESS: Final = "Enginehouse chooses where a worker listens"
_TLS: Final = "workers listen on loopback; TLS belongs in front of the gateway"

OWNED: Final[Mapping[str, Mapping[str, str]]] = {
    "vllm": {
        "model": "use the field 'source'",
        "served_model_name": "a worker serves under the model's name and its 'aliases'",
        "quantization": "use the field 'quantization'",
        "max_model_len": "use the field 'context'",
        "enable_lora": "use the field 'adapters.slots'",
        "max_loras": "use the field 'adapters.slots'",
        "max_cpu_loras": "use the field 'adapters.slots'",
        "max_lora_rank": "use the field 'adapters.max_rank'",
        "lora_modules": "use the field 'adapters'",
        "api_key": "Enginehouse gives each worker a key of its own",
        "hf_token": "Enginehouse fetches the weights: use the field 'source'",
        "host": _ADDRESS,
        "port": _ADDRESS,
        "uds": _ADDRESS,
        "grpc_port": _ADDRESS,
        "root_path": _ADDRESS,
        "headless": _ADDRESS,
        "api_server_count": "use the field 'replicas'",
        "config": "write the options here",
        "ssl_keyfile": _TLS,
        "ssl_certfile": _TLS,
        "ssl_ca_certs": _TLS,
        "ssl_cert_reqs": _TLS,
        "ssl_ciphers": _TLS,
        "enable_ssl_refresh": _TLS,
        "trust_remote_code": _CODE,
        "middleware": _CODE,
        "worker_cls": _CODE,
        "worker_extension_cls": _CODE,
        "scheduler_cls": _CODE,
        "logits_processors": _CODE,
        "io_processor_plugin": _CODE,
        "reasoning_parser_plugin": _CODE,
        "tool_parser_plugin": _CODE,
        "model_class_overrides": _CODE,
    },
}
"""By engine: flags that are refused, and what to do instead."""

_FLAG: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_.-]+)?")


def spelled(flag: str) -> str:
    """`flag` with `_` for `-` in its name, as Python spells it; what follows a dot is the engine's own."""
    name, dot, rest = flag.partition(".")
    return name.replace("-", "_") + dot + rest


def refusals(engine: str, flags: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Each flag of `flags` that may not be set, with the reason."""
    found: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for flag in flags:
        first = seen.setdefault(spelled(flag), flag)
        reason = f"the same option as {first!r} above" if first != flag else _refusal(engine, flag)
        if reason:
            found.append((flag, reason))
    return tuple(found)


def _refusal(engine: str, flag: str) -> str:
    if not _FLAG.fullmatch(flag):
        return "an option is a flag's name without the leading dashes: letters, digits, '_' and '-'"
    owned = OWNED.get(engine, {})
    name = spelled(flag).partition(".")[0].lower().removeprefix("no_")
    if name in owned:
        return f"not an option of yours: {owned[name]}"
    # The engines' parsers take any unambiguous beginning of a flag for the flag.
    longer = next((candidate for candidate in owned if candidate.startswith(name)), None)
    return f"short for {longer!r}, not an option of yours: {owned[longer]}" if longer else ""
