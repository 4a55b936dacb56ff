"""`adapter_config.json`: what it says, and every field that cannot be."""

import json

import pytest

from engines.adapters.config import Feature, read
from engines.adapters.findings import Reason
from tests import lora


def reading(**changes):
    return read(json.dumps(lora.config(**changes)).encode())


def test_what_peft_writes_is_understood():
    config, found = reading(r=8, lora_alpha=16, modules_to_save=None)
    assert found == ()
    assert (config.rank, config.alpha, config.targets) == (8, 16.0, ("q_proj", "v_proj"))
    assert config.features == frozenset()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"r": NaN}'])
def test_what_is_no_object_is_damaged(content):
    """Deep nesting included: it must not reach the interpreter's stack."""
    config, found = read(content)
    assert config is None
    assert [each.reason for each in found] == [Reason.CONFIG_DAMAGED]


@pytest.mark.parametrize("field", ["peft_type", "r", "lora_alpha", "target_modules"])
def test_a_missing_field_is_named(field):
    config, (found,) = reading(**{field: ...})
    assert config is None
    assert found.reason is Reason.CONFIG_INCOMPLETE
    assert field in found.message


@pytest.mark.parametrize("kind", ["LOHA", "PROMPT_TUNING", "ADALORA", 7])
def test_another_kind_of_adapter_is_refused(kind):
    assert [each.reason for each in reading(peft_type=kind)[1]] == [Reason.PEFT_TYPE]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("r", 0),
        ("r", -4),
        ("r", 4.5),
        ("r", True),
        ("r", "4"),
        ("lora_alpha", -1),
        ("lora_alpha", "big"),
        ("target_modules", [1]),
        ("target_modules", ["q_proj", ""]),
        ("use_dora", "yes"),
        ("bias", 3),
        ("rank_pattern", {"q_proj": 0}),
        ("rank_pattern", {"q_proj": 2.5}),
        ("alpha_pattern", {"q_proj": "x"}),
        ("modules_to_save", "score"),
    ],
)
def test_a_value_that_peft_never_writes_is_refused_by_its_place(field, value):
    config, (found,) = reading(**{field: value})
    assert config is None
    assert found.reason is Reason.CONFIG_DAMAGED
    assert field in found.where


def test_all_faults_are_told_at_once():
    _, found = reading(r=0, peft_type="IA3", lora_alpha=...)
    assert {each.reason for each in found} == {Reason.CONFIG_DAMAGED, Reason.PEFT_TYPE, Reason.CONFIG_INCOMPLETE}


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        ({"use_dora": True}, Feature.DORA),
        ({"bias": "all"}, Feature.BIAS),
        ({"lora_bias": True}, Feature.LORA_BIAS),
        ({"use_rslora": True}, Feature.RSLORA),
        ({"init_lora_weights": "pissa_niter_16"}, Feature.INIT),
        ({"target_modules": r".*\.(q|v)_proj"}, Feature.TARGET_REGEX),
        ({"layer_replication": [[0, 4], [2, 5]]}, Feature.REPLICATED_LAYERS),
        ({"trainable_token_indices": [1, 2]}, Feature.TRAINED_TOKENS),
        ({"auto_map": {"x": "code.py"}}, Feature.OWN_CODE),
    ],
)
def test_what_goes_beyond_a_plain_lora_is_a_feature(changes, feature):
    assert reading(**changes)[0].features == frozenset({feature})


@pytest.mark.parametrize(
    "changes", [{"init_lora_weights": "gaussian"}, {"target_modules": "all-linear"}, {"bias": None}]
)
def test_what_changes_nothing_is_no_feature(changes):
    assert reading(**changes)[0].features == frozenset()


def test_a_module_has_the_rank_of_the_first_pattern_that_names_it():
    """As PEFT and vLLM match: the whole name, or its end after a dot."""
    config, _ = reading(rank_pattern={"^model.layers.0.self_attn.q_proj": 2, "q_proj": 8})
    assert config.rank_of("model.layers.0.self_attn.q_proj") == 2
    assert config.rank_of("model.layers.1.self_attn.q_proj") == 8
    assert config.rank_of("model.layers.1.self_attn.not_q_proj") == 4
    assert config.highest_rank == 8


def test_a_pattern_is_never_run_as_a_regular_expression():
    """One that takes for ever would hang the engine."""
    _, (found,) = reading(rank_pattern={"(a+)+$": 4})
    assert found.reason is Reason.FEATURE_UNSUPPORTED


def test_what_is_shown_of_a_foreign_value_cannot_steer_a_terminal():
    _, (found,) = reading(peft_type="\x1b[2J" + "x" * 1000)
    assert "\x1b" not in str(found)
    assert len(str(found)) < 400
