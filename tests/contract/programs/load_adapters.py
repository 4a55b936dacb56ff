"""Runs inside vLLM's environment: does with each adapter what a worker of vLLM's does first, and says what came of it.

As vllm/lora/worker_manager.py `_load_adapter`: configuration, its validation, and the tensors by name. What comes
after that, the copy into the layers' buffers, needs a model.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

EXPECTED = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "embed_tokens", "lm_head"}
"""What a Llama's `supported_lora_modules` come to, unpacked (vllm/model_executor/models/llama.py)."""


def main():
    """Loaded late: it must not write to our answers, nor report its use."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.environ |= {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    torch = importlib.import_module("torch")
    helper = importlib.import_module("vllm.lora.peft_helper").PEFTHelper
    model = importlib.import_module("vllm.lora.lora_model").LoRAModel
    limits = importlib.import_module("vllm.config.lora").LoRAConfig(max_lora_rank=16, max_loras=1)

    def load(path):
        peft = helper.from_local_dir(path, 8192)
        peft.validate_legal(limits)
        loaded = model.from_local_checkpoint(
            path, EXPECTED, peft, device="cpu", dtype=torch.bfloat16, model_vocab_size=49152
        )
        for layer in loaded.loras.values():
            layer.optimize()

    with answers:
        for path in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
            try:
                load(path)
                said = None
            except Exception as refused:  # noqa: BLE001 (whatever it is, vLLM does not serve the adapter)
                said = f"{type(refused).__name__}: {refused}"[:300]
            answers.write(json.dumps({"error": said}) + "\n")


if __name__ == "__main__":
    main()
