"""What each engine takes, and what it would answer wrongly."""

import pytest

from engines.adapters.against import Against
from engines.adapters.doctor import examine
from engines.adapters.findings import Reason
from engines.adapters.modules import from_sizes
from tests import lora

LAYERS = 2
MODULES = from_sizes(lora.model_config(LAYERS))
EMBEDDING = {
    "base_model.model.model.embed_tokens.lora_embedding_A": ("F32", (4, lora.VOCABULARY)),
    "base_model.model.model.embed_tokens.lora_embedding_B": ("F32", (lora.HIDDEN, 4)),
}


def served(folder, targets, **changes):
    """By which engines an adapter of these targets and settings can be served."""
    names = changes.pop("target_modules", [target.rpartition(".")[2] for target in targets])
    shapes = lora.tensors(targets, layers=LAYERS)
    settings = lora.config(**{"target_modules": names, **changes})
    return set(examine(lora.write(folder, settings, shapes), Against(modules=MODULES)).engines)


@pytest.mark.parametrize(
    ("changes", "engines"),
    [
        ({}, {"vllm", "sglang", "lmdeploy"}),
        ({"use_rslora": True}, {"vllm"}),
        ({"alpha_pattern": {"q_proj": 4}}, {"vllm"}),
        ({"rank_pattern": {"down_proj": 4}}, {"vllm"}),
        ({"target_modules": "all-linear"}, {"vllm", "sglang"}),
        ({"target_modules": ".*_proj"}, {"vllm"}),
        ({"target_modules": ["q_proj", "v_proj", "query_key_value"]}, {"vllm", "lmdeploy"}),
        ({"use_dora": True}, set()),
        ({"bias": "all"}, set()),
        ({"layer_replication": [[0, 1]]}, set()),
    ],
)
def test_a_feature_is_served_only_where_it_is_applied(tmp_path, changes, engines):
    """SGLang and LMDeploy read r and lora_alpha and nothing else: they would scale wrongly and say nothing."""
    assert served(tmp_path / "a", ("self_attn.q_proj", "self_attn.v_proj"), **changes) == engines


@pytest.mark.parametrize(
    ("targets", "sglang"),
    [
        (["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], True),
        (["self_attn.q_proj"], False),
        (["self_attn.v_proj"], False),
        (["self_attn.k_proj"], False),
        (["mlp.gate_proj"], True),
        (["mlp.up_proj"], False),
        (["mlp.gate_proj", "mlp.up_proj"], True),
        (["self_attn.o_proj", "mlp.down_proj"], True),
    ],
)
def test_what_sglang_packs_must_come_together(tmp_path, targets, sglang):
    """Queries without values are a KeyError there, and values without queries are silently not applied."""
    assert ("sglang" in served(tmp_path / "a", targets)) is sglang


def test_an_embedding_may_have_a_lora_where_the_engine_takes_one(tmp_path):
    shapes = lora.tensors(layers=LAYERS) | EMBEDDING
    settings = lora.config(target_modules=["q_proj", "v_proj", "embed_tokens"])
    folder = lora.write(tmp_path / "a", settings, shapes)
    assert set(examine(folder, Against(modules=MODULES)).engines) == {"vllm", "sglang"}


def test_an_embedding_of_another_vocabulary_is_of_another_model(tmp_path):
    wider = {"base_model.model.model.embed_tokens.lora_embedding_A": ("F32", (4, lora.VOCABULARY + 8))}
    settings = lora.config(target_modules=["q_proj", "v_proj", "embed_tokens"])
    folder = lora.write(tmp_path / "a", settings, lora.tensors(layers=LAYERS) | EMBEDDING | wider)
    assert {each.reason for each in examine(folder, Against(modules=MODULES)).findings if not each.engine} == {
        Reason.SHAPE_WRONG
    }


def test_layers_whose_weights_lie_the_other_way_round_are_measured_so(tmp_path):
    """GPT-2's Conv1D: `fan_in_fan_out`."""
    known = from_sizes(lora.model_config(LAYERS) | {"intermediate_size": 999})
    turned = type(known)({name: width and (width[1], width[0]) for name, width in known.widths.items()})
    shapes = lora.tensors(["self_attn.k_proj"], layers=LAYERS)
    settings = lora.config(target_modules=["k_proj"], fan_in_fan_out=True)
    assert "vllm" in examine(lora.write(tmp_path / "a", settings, shapes), Against(modules=turned)).engines


def test_a_packed_layer_of_unknown_width_is_not_held_against_the_adapter(tmp_path):
    known = type(MODULES)(dict.fromkeys(MODULES.widths))
    folder = lora.write(tmp_path / "a", shapes=lora.tensors(layers=LAYERS))
    assert examine(folder, Against(modules=known)).healthy
