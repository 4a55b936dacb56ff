"""Turns a GGUF file into a Hugging Face checkpoint in bfloat16, with its tokenizer and chat template.

python -m tools.convert_gguf --source FILE --target DIR
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert(source: Path, target: Path) -> None:
    """Write the checkpoint to the new folder `target`."""
    folder, name = str(source.parent), source.name
    report("reading the GGUF file", 0.1)
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=name,
        dtype=torch.bfloat16,
        # Without this the model stays packed inside and cannot be saved.
        quantization_config=GgufConfig(dequantize=True),
    )
    report("reading the tokenizer", 0.6)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    report("writing the checkpoint", 0.9)
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def report(step: str, fraction: float) -> None:
    """One line of progress on stdout."""
    print(json.dumps({"step": step, "fraction": fraction}), flush=True)


def main() -> None:
    """Convert and report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--target", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    convert(given.source, given.target)
    print(json.dumps({"result": {"files": len(list(given.target.iterdir()))}}), flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
