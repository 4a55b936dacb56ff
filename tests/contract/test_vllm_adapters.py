"""The doctor beside vLLM's own code: whatever the doctor passes, vLLM loads; what vLLM refuses, the doctor refuses.

One run of vLLM (its import takes some seconds) judges all adapters; the tests read its verdicts. The doctor refuses
more: what vLLM finds out only when it copies into its layers, or never.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Final

import msgspec
import pytest

from engines import tool
from engines.adapters.against import Against
from engines.adapters.doctor import examine
from engines.adapters.modules import from_sizes
from engines.processes import program
from engines.tool import Tool
from tests import lora

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

LAYERS: Final = 2
MODEL: Final = Against(engines=("vllm",), model="small", modules=from_sizes(lora.model_config(LAYERS)), max_rank=16)
SHAPES: Final = lora.tensors(layers=LAYERS)
FIRST: Final = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
EMBEDDING: Final = {
    "base_model.model.model.embed_tokens.lora_embedding_A": ("BF16", (4, lora.VOCABULARY)),
    "base_model.model.model.embed_tokens.lora_embedding_B": ("BF16", (lora.HIDDEN, 4)),
}
ALL: Final = tuple(lora.WIDTHS)
LEAVES: Final = [target.rpartition(".")[2] for target in ALL]

GOOD: Final = {
    "plain": ({}, SHAPES),
    "every layer": ({"target_modules": LEAVES}, lora.tensors(ALL, layers=LAYERS)),
    "float32": ({}, lora.tensors(layers=LAYERS, dtype="F32")),
    "float16": ({}, lora.tensors(layers=LAYERS, dtype="F16")),
    "highest rank": ({"r": 16}, lora.tensors(layers=LAYERS, rank=16)),
    "rsLoRA": ({"use_rslora": True}, SHAPES),
    "a rank of its own": ({"r": 2, "rank_pattern": {"q_proj": 4, "v_proj": 4}}, SHAPES),
    "an alpha of its own": ({"alpha_pattern": {"q_proj": 3.5}}, SHAPES),
    "a shorthand": ({"target_modules": "all-linear"}, SHAPES),
    "a pattern": ({"target_modules": ".*_proj"}, SHAPES),
    "a target that is not there": ({"target_modules": ["q_proj", "v_proj", "query_key_value"]}, SHAPES),
    "gaussian": ({"init_lora_weights": "gaussian"}, SHAPES),
    "embeddings": ({"target_modules": ["q_proj", "v_proj", "embed_tokens"]}, SHAPES | EMBEDDING),
    "a broken alpha": ({"lora_alpha": 0.5}, SHAPES),
}
"""Both take them: name → settings, tensors."""
BAD: Final = {
    "DoRA": ({"use_dora": True}, SHAPES),
    "bias": ({"bias": "all"}, SHAPES),
    "a bias of LoRA's": ({"lora_bias": True}, SHAPES),
    "a module trained whole": ({"modules_to_save": ["embed_tokens"]}, SHAPES),
    "PiSSA": ({"init_lora_weights": "pissa"}, SHAPES),
    "aLoRA": ({"alora_invocation_tokens": [1, 2]}, SHAPES),
    "replicated layers": ({"layer_replication": [[0, 1]]}, SHAPES),
    "BD-LoRA": ({"use_bdlora": {"x": 1}}, SHAPES),
    "QALoRA": ({"use_qalora": True}, SHAPES),
    "rank too high": ({"r": 17}, lora.tensors(layers=LAYERS, rank=17)),
    "one rank too high": ({"rank_pattern": {"q_proj": 32}}, SHAPES),
    "no rank": ({"r": 0}, SHAPES),
    "rank missing": ({"r": ...}, SHAPES),
    "alpha missing": ({"lora_alpha": ...}, SHAPES),
    "targets missing": ({"target_modules": ...}, SHAPES),
    "a layer that Llama lacks": ({}, SHAPES | {FIRST.replace("q_proj", "query_key_value"): ("BF16", (4, 576))}),
    "a strange tensor": ({}, SHAPES | {"strange.weight": ("BF16", (1,))}),
    "a tensor of the model": ({}, SHAPES | {"base_model.model.model.norm.weight": ("BF16", (576,))}),
    "a magnitude": ({}, SHAPES | {FIRST.replace("lora_A.weight", "lora_magnitude_vector"): ("BF16", (576,))}),
    "another vocabulary": (
        {"target_modules": ["q_proj", "v_proj", "embed_tokens"]},
        SHAPES | EMBEDDING | {"base_model.model.model.embed_tokens.lora_embedding_A": ("BF16", (4, 100))},
    ),
}
"""Both refuse them."""
UNNOTICED: Final = {
    "narrower": ({}, SHAPES | {FIRST: ("BF16", (4, 500))}),
    "another rank than it says": ({"r": 8}, SHAPES),
    "a layer left out": ({}, lora.tensors(layers=1)),
    "whole numbers": ({}, SHAPES | {FIRST: ("I8", (4, 576))}),
    "PEFT of another kind": ({"peft_type": "LOHA"}, SHAPES),
}
"""vLLM's first steps take them, and the doctor does not."""


def drawn(seed):
    """Settings and tensors at random, good and bad."""
    chance = random.Random(seed)
    rank = chance.choice([1, 4, 8, 16, 24])
    targets = chance.sample(ALL, chance.randint(1, len(ALL)))
    settings = {
        "r": rank,
        "target_modules": [target.rpartition(".")[2] for target in targets],
        "use_rslora": chance.random() < 0.3,
        "use_dora": chance.random() < 0.1,
        "bias": chance.choice(["none", "none", "none", "all"]),
        "lora_alpha": chance.choice([1, 8, 0.5, 64]),
        "modules_to_save": chance.choice([None, [], ["lm_head"]]),
        "init_lora_weights": chance.choice([True, False, "eva", "olora"]) if chance.random() < 0.4 else True,
    }
    shapes = lora.tensors(targets, rank, LAYERS, chance.choice(["F32", "F16", "BF16"]))
    if chance.random() < 0.2:
        shapes.pop(chance.choice(list(shapes)))
    if chance.random() < 0.1:
        shapes["base_model.model.lm_head.weight"] = ("BF16", (1, 1))
    return settings, shapes


DRAWN: Final = {f"seed {seed}": drawn(seed) for seed in range(60)}
CASES: Final = GOOD | BAD | UNNOTICED | DRAWN


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Each case as a folder."""
    root = tmp_path_factory.mktemp("adapters")
    return {
        name: lora.write(root / str(number), lora.config(**settings), shapes)
        for number, (name, (settings, shapes)) in enumerate(CASES.items())
    }


@pytest.fixture(scope="module")
def refusals(folders, vllm_python):
    """What vLLM said to each of `CASES`: a sentence where it refused, else None."""
    return dict(zip(folders, asyncio.run(judged(vllm_python, [str(path) for path in folders.values()])), strict=True))


async def judged(python, paths):
    asked, said = Tool(python, Path(__file__).parent / "programs", "load_adapters"), []
    listed = Path(paths[0]).parent / "list.json"
    listed.write_bytes(msgspec.json.encode(paths))
    ended = await program.run((*asked.command, str(listed)), tool.environ(asked, os.environ), said.append)
    assert ended.status == 0, ended.last_words
    return [msgspec.json.decode(line)["error"] for line in said]


def healthy(folders, name):
    return examine(folders[name], MODEL).healthy


@pytest.mark.parametrize("name", GOOD)
def test_what_is_good_both_take(folders, refusals, name):
    assert (healthy(folders, name), refusals[name]) == (True, None)


@pytest.mark.parametrize("name", BAD)
def test_what_is_bad_both_refuse(folders, refusals, name):
    """And for a reason, not because the file could not be read."""
    assert not healthy(folders, name)
    assert refusals[name] is not None


@pytest.mark.parametrize("name", UNNOTICED)
def test_what_vllm_does_not_notice_at_once_the_doctor_does(folders, refusals, name):
    assert (healthy(folders, name), refusals[name]) == (False, None)


@pytest.mark.parametrize("name", DRAWN)
def test_whatever_the_doctor_passes_vllm_loads(folders, refusals, name):
    """Never the other way round: a load that fails is what the doctor is there to prevent."""
    assert not healthy(folders, name) or refusals[name] is None


def test_the_random_ones_are_of_both_kinds(folders):
    """Else the test above would say nothing."""
    passed = sum(healthy(folders, name) for name in DRAWN)
    assert 5 < passed < len(DRAWN) - 5
