"""Which of an engine's own flags a registry may set in `options.<engine>`, and how they are spelled.

Enginehouse decides some flags itself; setting them twice would start a worker that nobody can reach. Flags that
name code are refused: a registry never names code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_NAME: Final = "a worker serves under the model's name and its 'aliases'"
_SOURCE: Final = "use the field 'source'"
_QUANTIZATION: Final = "use the field 'quantization'"
_CONTEXT: Final = "use the field 'context'"
_SLOTS: Final = "use the field 'adapters.slots'"
_RANK: Final = "use the field 'adapters.max_rank'"
_ADAPTERS: Final = "use the field 'adapters'"
_KEY: Final = "Enginehouse gives each worker a key of its own"
_CODE: Final = "it names code to run, and a registry never does"
_ADDRESS: Final = "Enginehouse chooses where a worker listens"
_TLS: Final = "workers listen on loopback; TLS belongs in front of the gateway"

OWNED: Final[Mapping[str, Mapping[str, str]]] = {
    "vllm": {
        "model": _SOURCE,
        "served_model_name": _NAME,
        "quantization": _QUANTIZATION,
        "max_model_len": _CONTEXT,
        "enable_lora": _SLOTS,
        "max_loras": _SLOTS,
        "max_cpu_loras": _SLOTS,
        "max_lora_rank": _RANK,
        "lora_modules": _ADAPTERS,
        "api_key": _KEY,
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
        "trust_remote_code": "use the field 'trust_remote_code'",
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
    "sglang": {
        "model_path": _SOURCE,
        "model": _SOURCE,
        "download_dir": _SOURCE,
        "revision": _SOURCE,
        "served_model_name": _NAME,
        "quantization": _QUANTIZATION,
        "modelopt_quant": _QUANTIZATION,
        "quantize_and_serve": _QUANTIZATION,
        "context_length": _CONTEXT,
        "enable_lora": _SLOTS,
        "max_loras_per_batch": _SLOTS,
        "max_loaded_loras": _SLOTS,
        "max_lora_rank": _RANK,
        "lora_paths": _ADAPTERS,
        "api_key": _KEY,
        "admin_api_key": _KEY,
        "host": _ADDRESS,
        "port": _ADDRESS,
        "fastapi_root_path": _ADDRESS,
        "grpc_mode": _ADDRESS,
        "smg_grpc_mode": _ADDRESS,
        "grpc_port": _ADDRESS,
        "enable_http_worker_reuseport": _ADDRESS,
        "enable_metrics": "Enginehouse reads every worker's metrics",
        "config": "write the options here",
        "ssl_keyfile": _TLS,
        "ssl_certfile": _TLS,
        "ssl_ca_certs": _TLS,
        "ssl_keyfile_password": _TLS,
        "enable_ssl_refresh": _TLS,
        "trust_remote_code": "use the field 'trust_remote_code'",
        "custom_weight_loader": _CODE,
        "forward_hooks": _CODE,
        "sidecar": _CODE,
        "sidecar_args": _CODE,
        "tool_server": _CODE,
        "enable_custom_logit_processor": "it lets clients send code to run",
        "delete_ckpt_after_loading": "the weights are shared with other workers",
    },
    "lmdeploy": {
        "model_path": _SOURCE,
        "download_dir": _SOURCE,
        "revision": _SOURCE,
        "model_name": _NAME,
        "model_format": _QUANTIZATION,
        "session_len": _CONTEXT,
        "adapters": _ADAPTERS,
        "api_keys": _KEY,
        "server_name": _ADDRESS,
        "server_port": _ADDRESS,
        "proxy_url": _ADDRESS,
        "disable_metrics": "Enginehouse reads every worker's metrics",
        "enable_abort_handling": "Enginehouse always asks for it",
        "allow_terminate_by_client": "Enginehouse ends its workers itself",
        "ssl": _TLS,
        "trust_remote_code": "use the field 'trust_remote_code'",
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
