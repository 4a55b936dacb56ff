"""Measures what quantizing cost: perplexity, top-1 agreement and KL divergence to the source, on a held-out text.

    python -m tools.measure --source DIR --checkpoint DIR --text FILE --scratch DIR

A packed checkpoint is unpacked from its own files, and where engines round what goes into a layer, so does this: what
is measured is what an engine will compute. The arithmetic is float32 in both cases, so that the figures differ by the
quantization alone. The source's answers wait on disk in `scratch`, so that one model at a time is in memory.
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

from .activations import round_activations
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
    round_activations(model, quantization)
    return model.eval()


@torch.inference_mode()  # type: ignore[untyped-decorator]
def log_probabilities(model: Any, tokens: list[int]) -> torch.Tensor:
    """[predicted tokens, vocabulary], in nats."""
    logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, :-1].float()
    return torch.log_softmax(logits, dim=-1)


def likelihood(found: torch.Tensor, tokens: list[int]) -> float:
    """Of the text, summed over its predicted tokens."""
    return float(found.gather(1, torch.tensor(tokens[1:]).unsqueeze(1)).sum())


def source_pass(model: Any, rows: list[list[int]], scratch: Path, lines: Lines) -> float:
    """The likelihood of all `rows`; what the model said of each is left in `scratch`."""
    total = 0.0
    for index, row in enumerate(rows):
        found = log_probabilities(model, row)
        total += likelihood(found, row)
        torch.save(found, scratch / f"{index}.pt")
        lines.progress(f"measuring the source ({index + 1}/{len(rows)} texts)", (index + 1) / len(rows) / 2)
    return total


def packed_pass(model: Any, rows: list[list[int]], scratch: Path, lines: Lines) -> tuple[float, float, int]:
    """The likelihood of all `rows`, the divergence from the source, and how many best tokens are the source's."""
    total, divergence, agreed = 0.0, 0.0, 0
    for index, row in enumerate(rows):
        found, before = log_probabilities(model, row), torch.load(scratch / f"{index}.pt")
        total += likelihood(found, row)
        divergence += float((before.exp() * (before - found)).sum())
        agreed += int((before.argmax(dim=1) == found.argmax(dim=1)).sum())
        lines.progress(f"measuring the result ({index + 1}/{len(rows)} texts)", 0.5 + (index + 1) / len(rows) / 2)
    return total, divergence, agreed


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser()
    for name in ("source", "checkpoint", "text", "scratch"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    lines = Lines()
    torch.set_num_threads(usable_threads())
    given.scratch.mkdir(parents=True, exist_ok=True)
    lines.progress("loading the source", 0.0)
    tokenizer = AutoTokenizer.from_pretrained(given.source)
    rows = [row for document in documents(given.text) if len(row := token_ids(document, tokenizer)) > 1]
    before = source_pass(load(given.source), rows, given.scratch, lines)
    lines.progress("loading the result", 0.5)
    after, divergence, agreed = packed_pass(load(given.checkpoint), rows, given.scratch, lines)
    tokens = sum(len(row) - 1 for row in rows)
    lines.result(
        {
            "source_perplexity": math.exp(-before / tokens),
            "perplexity": math.exp(-after / tokens),
            "tokens": tokens,
            "text_sha256": hashlib.sha256(given.text.read_bytes()).hexdigest(),
            "top1": agreed / tokens,
            "kl": divergence / tokens,
        }
    )


if __name__ == "__main__":
    main()
