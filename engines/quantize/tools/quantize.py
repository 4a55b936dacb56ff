"""Writes a packed checkpoint: with auto-round, rounding and ranges tuned block by block, or to the nearest number.

    python -m tools.quantize --source DIR --target DIR --recipe JSON --calibration FILE

Deterministic for one recipe, one machine and one number of threads.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from auto_round import AutoRound
from auto_round.logger import logger as tuner_log
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from . import nearest
from .reporting import Lines, usable_threads
from .texts import samples

_FORMATS = {"gptq": "auto_gptq", "awq": "auto_awq", "w4a16": "llm_compressor"}
_COMPANIONS = ("generation_config.json", "chat_template.jinja")
_LOADED, _CACHED, _TUNED = 0.02, 0.05, 0.97
"""Fractions of the whole that are done after each part."""


class Following(logging.Handler):
    """Turns auto-round's debug log, one record for each iteration of a block, into progress."""

    _ITERATION = re.compile(r"iter (\d+) loss")

    def __init__(self, lines: Lines, blocks: int, iterations: int) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines
        self._blocks = blocks
        self._iterations = iterations
        self._block = -1

    def emit(self, record: logging.LogRecord) -> None:
        """Count a block with its first iteration."""
        found = self._ITERATION.match(record.getMessage())
        if not found:
            return
        iteration = int(found[1])
        self._block += iteration == 0
        done = (self._block + (iteration + 1) / self._iterations) / self._blocks
        step = f"tuning block {self._block + 1}/{self._blocks}, iteration {iteration + 1}/{self._iterations}"
        self._lines.progress(step, _CACHED + (_TUNED - _CACHED) * min(done, 1.0))


def quantize(source: Path, target: Path, recipe: dict[str, Any], calibration: Path, lines: Lines) -> None:
    """From a checkpoint in `source` to a packed one in `target`."""
    lines.progress("loading the checkpoint", 0.0)
    # Not every CPU multiplies bfloat16; float32 is as fast or faster on those, and never worse.
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(source)
    if recipe["tuning"]:
        tune(model, tokenizer, target, recipe, calibration, lines)
        gather(target)
    else:
        nearest.write(model, target, recipe["name"], lines)
        tokenizer.save_pretrained(target)
    settle(source, target)
    lines.progress("written", 1.0)


def tune(model: Any, tokenizer: Any, target: Path, recipe: dict[str, Any], calibration: Path, lines: Lines) -> None:
    """Have auto-round search and write into `target/work`."""
    tuning = recipe["tuning"]
    rows = samples(calibration, tokenizer, count=tuning["samples"], length=tuning["length"])
    if not rows:
        raise SystemExit(f"the calibration text is too short: it must have {tuning['length']} tokens, better 10,000")
    lines.progress(f"running {len(rows)} samples of {tuning['length']} tokens", _LOADED)
    follow(lines, model.config.num_hidden_layers, tuning["iterations"])
    AutoRound(
        model, tokenizer, scheme="W4A16", bits=recipe["bits"], group_size=recipe["group_size"],
        sym=recipe["symmetric"], dataset=torch.utils.data.DataLoader(batches(rows), batch_size=tuning["batch"]),
        seqlen=tuning["length"], nsamples=len(rows), batch_size=tuning["batch"], iters=tuning["iterations"],
        lr=tuning["learning_rate"], minmax_lr=tuning["range_learning_rate"], seed=tuning["seed"],
        # The loss of one batch says more about the batch than about the weights: with so few iterations the
        # "best" of them is a matter of luck, and the last one is better (docs/decisions/quantizers.md).
        not_use_best_mse=True,
        amp=False, device_map="cpu", enable_torch_compile=False, low_cpu_mem_usage=False,
    ).quantize_and_save(str(target / "work"), format=_FORMATS[recipe["name"]])  # fmt: skip


def batches(rows: list[list[int]]) -> list[dict[str, torch.Tensor]]:
    """The samples as auto-round's loader takes them: all of one length, nothing padded."""
    tensors = [torch.tensor(row) for row in rows]
    return [{"input_ids": row, "attention_mask": torch.ones_like(row)} for row in tensors]


def follow(lines: Lines, blocks: int, iterations: int) -> None:
    """Report auto-round's progress and keep its debug records out of the log."""
    for handler in tuner_log.handlers:
        handler.setLevel(logging.INFO)
    tuner_log.setLevel(logging.DEBUG)
    tuner_log.addHandler(Following(lines, blocks, iterations))


def gather(target: Path) -> None:
    """Move what auto-round wrote into a folder of its own naming up to `target`."""
    work = target / "work"
    (written,) = {found.parent for found in work.rglob("config.json")}
    for file in written.iterdir():
        shutil.move(file, target / file.name)
    shutil.rmtree(work)


def settle(source: Path, target: Path) -> None:
    """What both ways of writing leave undone: the dtype, a second output layer, companions of the weights."""
    keep_dtype(source / "config.json", target / "config.json")
    slim(target, stored_as(source))
    for name in _COMPANIONS:
        if (source / name).exists() and not (target / name).exists():
            shutil.copyfile(source / name, target / name)


def stored_as(source: Path) -> torch.dtype:
    """What the numbers of the source are stored as."""
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    return getattr(torch, str(config.get("dtype") or config.get("torch_dtype") or "bfloat16"))


def keep_dtype(original: Path, written: Path) -> None:
    """Auto-round says float16, which is what it stores scales in; engines compute in what the source asked for."""
    config = json.loads(written.read_text(encoding="utf-8"))
    config["dtype"] = json.loads(original.read_text(encoding="utf-8")).get("dtype", "bfloat16")
    config.pop("torch_dtype", None)
    written.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def slim(target: Path, dtype: torch.dtype) -> None:
    """Take out what costs bytes for nothing: an output layer that is the embedding, a third of a small model, and
    numbers in float32 that the source has in `dtype`. Scales stay as they are.
    """
    config = json.loads((target / "config.json").read_text(encoding="utf-8"))
    for file in target.glob("*.safetensors"):
        tensors = load_file(file)
        # One file has all tensors; of several, an index says which has what, and it stays true.
        if config.get("tie_word_embeddings") and file.name == "model.safetensors":
            tensors.pop("lm_head.weight", None)
        wide = {name for name, each in tensors.items() if each.dtype == torch.float32 and not name.endswith("scale")}
        save_file(
            {name: each.to(dtype) if name in wide else each for name, each in tensors.items()},
            file,
            metadata={"format": "pt"},
        )


def main() -> None:
    """Quantize and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--recipe", type=json.loads, required=True)
    parser.add_argument("--calibration", type=Path, required=True)
    given = parser.parse_args()
    lines = Lines()
    torch.set_num_threads(usable_threads())
    given.target.mkdir(parents=True, exist_ok=True)
    quantize(given.source, given.target, given.recipe, given.calibration, lines)
    lines.result({"files": len(list(given.target.iterdir()))})


if __name__ == "__main__":
    main()
