"""Fields of a request that steer the engine instead of saying what is wanted of the model.

A gateway refuses them unless the model's `allow` names them: they can run templates and preprocessing of the
caller's making, jump the queue, share or split caches, and name workers, files and other callers' requests.
Sources: the request classes of vLLM 0.32 (`entrypoints/openai/*/protocol.py`), SGLang (`srt/entrypoints/openai/
protocol.py`) and LMDeploy (`serve/openai/protocol.py`).
"""

from __future__ import annotations

from typing import Final, Literal, get_args

SteeringField = Literal[
    "bootstrap_host",
    "bootstrap_port",
    "bootstrap_room",
    "cache_salt",
    "chat_template",
    "chat_template_kwargs",
    "custom_labels",
    "custom_params",
    "data_parallel_rank",
    "disagg_prefill_dp_rank",
    "ec_transfer_params",
    "extra_key",
    "images_config",
    "kv_transfer_params",
    "lora_path",
    "media_io_kwargs",
    "migration_request",
    "mm_processor_kwargs",
    "ngram_corpus_id",
    "preserve_cache",
    "priority",
    "prompt_embeds",
    "request_id",
    "return_hidden_states",
    "rid",
    "routed_dp_rank",
    "session_id",
    "session_params",
    "vllm_xargs",
    "with_cache",
]

STEERING: Final[frozenset[str]] = frozenset(get_args(SteeringField))

CODE: Final = frozenset({"custom_logit_processor", "logits_processors"})
"""They carry or name code: refused, and no registry can allow them."""
