"""Measures the perplexity of a checkpoint, plain or packed, on a held-out text.

    python -m tools.perplexity --checkpoint DIR --text FILE

A packed checkpoint is unpacked from its own files, so what is measured is what an engine will load; the
arithmetic is float32 in both cases, so that the two figures differ by the weights alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from .packed import float_weights
from .reporting import Lines, usable_threads
from .texts import documents, token_ids


def load(checkpoint: Path) -> Any:
    """The model at `checkpoint` in float32, unpacked where its config says that it is packed."""
    quantization = json.loads((checkpoint / "config.json").read_text(encoding="utf-8")).get("quantization_config")
    if quantization is None:
        return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    config = AutoConfig.from_pretrained(checkpoint)
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    outcome = model.load_state_dict(float_weights(checkpoint, quantization["quant_method"]), strict=False)
    model.tie_weights()
    untied = set(outcome.missing_keys) - {"lm_head.weight"}
    if untied or outcome.unexpected_keys:
        raise SystemExit(f"{checkpoint}: not a whole checkpoint: {sorted(untied)} {outcome.unexpected_keys}")
    return model.eval()


@torch.inference_mode()  # type: ignore[untyped-decorator]
def negative_log_likelihood(model: Any, tokens: list[int]) -> float:
    """Sum over all tokens but the first, in nats."""
    ids = torch.tensor([tokens])
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    given = parser.parse_args()
    lines = Lines()
    torch.set_num_threads(usable_threads())
    lines.progress("loading the checkpoint", 0.0)
    tokenizer = AutoTokenizer.from_pretrained(given.checkpoint)
    model = load(given.checkpoint)
    rows = [token_ids(document, tokenizer) for document in documents(given.text)]
    predicted = sum(len(row) - 1 for row in rows)
    total, seen = 0.0, 0
    for row in rows:
        total += negative_log_likelihood(model, row)
        seen += len(row) - 1
        lines.progress(f"measuring perplexity ({seen}/{predicted} tokens)", seen / predicted)
    digest = hashlib.sha256(given.text.read_bytes()).hexdigest()
    lines.result({"perplexity": math.exp(total / predicted), "tokens": predicted, "text_sha256": digest})


if __name__ == "__main__":
    main()
