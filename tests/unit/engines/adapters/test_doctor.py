"""The doctor on whole folders: what is sound passes, what is not is refused with its code."""

import json
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.against import Against
from engines.adapters.doctor import LIMITS, examine
from engines.adapters.findings import Reason
from engines.adapters.limits import Limits
from engines.adapters.modules import from_sizes
from tests import lora

LAYERS = 3
MODEL = Against(
    engines=("vllm",),
    model="smollm2-135m",
    certain_names=frozenset({"smollm2-135m-instruct"}),
    modules=from_sizes(lora.model_config(LAYERS)),
    max_rank=16,
    slots=4,
)
SHAPES = lora.tensors(layers=LAYERS)
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
QKV = [f"self_attn.{leaf}_proj" for leaf in "qkv"]


def reasons(folder, against=MODEL, limits=LIMITS):
    return {finding.reason for finding in examine(folder, against, limits).findings}


@pytest.fixture
def folder(tmp_path):
    return lora.write(tmp_path / "adapter", shapes=SHAPES)


def test_a_sound_adapter_is_served_and_described(folder):
    found = examine(folder, MODEL)
    assert (found.findings, found.notes, found.engines) == ((), (), ("vllm",))
    assert (found.facts.rank, found.facts.modules, found.facts.targets) == (4, 6, ("q_proj", "v_proj"))


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
@pytest.mark.parametrize("targets", [list(lora.WIDTHS), QKV])
def test_every_layer_and_type_that_engines_take_is_taken(tmp_path, dtype, targets):
    shapes = lora.tensors(targets, layers=LAYERS, dtype=dtype)
    settings = lora.config(target_modules=[target.partition(".")[2] for target in targets])
    assert examine(lora.write(tmp_path / "a", settings, shapes), MODEL).healthy


def test_without_a_model_only_the_adapter_itself_is_examined(folder):
    """And that is said."""
    found = examine(folder)
    assert found.engines == ("vllm", "sglang", "lmdeploy")
    assert found.notes == ("not held against a model: name one with --base",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({FIRST: None}, Reason.PAIR_INCOMPLETE),
        ({FIRST: ("BF16", (4, 575))}, Reason.SHAPE_WRONG),
        ({FIRST: ("BF16", (5, 576))}, Reason.SHAPE_WRONG),
        ({FIRST: ("BF16", (4, 576, 1))}, Reason.SHAPE_WRONG),
        ({FIRST: ("BF16", (0, 576))}, Reason.SHAPE_WRONG),
        ({FIRST: ("I8", (4, 576))}, Reason.DTYPE_UNSUPPORTED),
        ({FIRST: ("F64", (4, 576))}, Reason.DTYPE_UNSUPPORTED),
        ({"strange": ("BF16", (4,))}, Reason.TENSOR_UNEXPECTED),
        ({FIRST.replace("q_proj", "k_proj"): ("BF16", (4, 576))}, Reason.TENSOR_UNEXPECTED),
        ({FIRST.replace("layers.0", "layers.7"): ("BF16", (4, 576))}, Reason.TARGET_UNKNOWN),
        ({FIRST.replace("lora_A.weight", "lora_magnitude_vector"): ("BF16", (576,))}, Reason.DORA),
        ({FIRST.replace("weight", "bias"): ("BF16", (4,))}, Reason.BIAS),
        ({FIRST.replace("lora_A.weight", "bias"): ("BF16", (576,))}, Reason.BIAS),
        ({FIRST.replace("lora_A.weight", "base_layer.bias"): ("BF16", (576,))}, Reason.BIAS),
        ({"base_model.model.model.norm.weight": ("BF16", (576,))}, Reason.MODULES_TO_SAVE),
        ({"base_model.model.model.embed_tokens.weight": ("BF16", (9, 9))}, Reason.EMBEDDING_RESIZED),
        ({"base_model.model.lm_head.base_layer.weight": ("BF16", (9, 9))}, Reason.EMBEDDING_RESIZED),
    ],
)
def test_a_tensor_that_cannot_be_is_refused(tmp_path, change, reason):
    shapes = {name: shape for name, shape in {**SHAPES, **change}.items() if shape is not None}
    assert reason in reasons(lora.write(tmp_path / "a", shapes=shapes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base_model_name_or_path": "meta-llama/Llama-3.1-8B"}, Reason.BASE_DIFFERS),
        ({"r": 32}, Reason.RANK_TOO_HIGH),
        ({"rank_pattern": {"k_proj": 17}}, Reason.RANK_TOO_HIGH),
        ({"rank_pattern": {"q_proj": 2}}, Reason.SHAPE_WRONG),
        ({"use_dora": True}, Reason.DORA),
        ({"bias": "lora_only"}, Reason.BIAS),
        ({"modules_to_save": ["embed_tokens"]}, Reason.EMBEDDING_RESIZED),
        ({"modules_to_save": ["score"]}, Reason.MODULES_TO_SAVE),
        ({"trainable_token_indices": [1]}, Reason.EMBEDDING_RESIZED),
        ({"init_lora_weights": "olora"}, Reason.FEATURE_UNSUPPORTED),
        ({"target_modules": ["k_proj"]}, Reason.TENSOR_UNEXPECTED),
    ],
)
def test_a_configuration_that_cannot_be_served_is_refused(tmp_path, changes, reason):
    assert reason in reasons(lora.write(tmp_path / "a", lora.config(**changes), SHAPES))


def test_a_name_on_the_trainers_disk_says_nothing(tmp_path):
    """The shapes decide, and that is said."""
    found = examine(lora.write(tmp_path / "a", lora.config(base_model_name_or_path="/data/m"), SHAPES), MODEL)
    assert found.healthy
    assert "only from its shapes" in found.notes[0]


def test_a_model_with_adapters_off_takes_none(folder):
    assert reasons(folder, Against(model="small", slots=0)) == {Reason.ADAPTERS_OFF}


def test_a_layer_that_was_left_out_is_missed(tmp_path):
    """All others of its kind have a LoRA: somebody has cut the file."""
    shapes = {name: shape for name, shape in SHAPES.items() if "layers.1." not in name}
    assert reasons(lora.write(tmp_path / "a", shapes=shapes)) == {Reason.PAIR_INCOMPLETE}
    told = lora.config(layers_to_transform=[0, 2])
    assert reasons(lora.write(tmp_path / "a", told, shapes)) == set()


@pytest.mark.parametrize("bad", [b"\x80\x7f", b"\x80\xff", b"\xc1\x7f"])
def test_a_number_that_is_none_is_refused(tmp_path, bad):
    content = bytearray(lora.numbers("BF16", 4 * 576))
    content[100:102] = bad
    assert reasons(lora.write(tmp_path / "a", shapes=SHAPES, contents={FIRST: bytes(content)})) == {Reason.NOT_FINITE}


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt"])
def test_a_pickle_is_refused_also_beside_safetensors(folder, name):
    """LMDeploy would take the pickle."""
    (folder / name).write_bytes(b"\x80\x04.")
    assert reasons(folder) == {Reason.PICKLED}
    (folder / "adapter_model.safetensors").unlink()
    assert reasons(folder) == {Reason.PICKLED}


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_links_and_what_is_no_file_are_not_opened(folder, name):
    """A pipe is not waited for, and a link leads nowhere."""
    original = folder / name
    original.rename(folder / "elsewhere")
    original.symlink_to(folder / "elsewhere")
    assert Reason.NOT_A_FILE in reasons(folder)
    original.unlink()
    os.mkfifo(original)
    assert Reason.NOT_A_FILE in reasons(folder)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("adapter_config.json", Reason.CONFIG_MISSING), ("adapter_model.safetensors", Reason.WEIGHTS_MISSING)],
)
def test_a_missing_file_is_named(folder, name, reason):
    (folder / name).unlink()
    assert reasons(folder) == {reason}


@pytest.mark.parametrize("limits", [Limits(config=10), Limits(weights=1000), Limits(tensors=3)])
def test_what_is_too_large_is_not_read(folder, limits):
    assert reasons(folder, limits=limits) == {Reason.TOO_LARGE}


def test_all_findings_come_at_once(tmp_path):
    """One round, not one fault after the other."""
    shapes = {**SHAPES, FIRST: ("I8", (4, 575)), "strange": ("BF16", (1,))}
    found = reasons(lora.write(tmp_path / "a", lora.config(use_dora=True, base_model_name_or_path="a/b"), shapes))
    assert {Reason.DORA, Reason.BASE_DIFFERS, Reason.DTYPE_UNSUPPORTED, Reason.TENSOR_UNEXPECTED} <= found


SMALL = lora.packed(lora.tensors(layers=2, rank=1, targets=["mlp.down_proj"]))
HEADER = 8 + struct.unpack("<Q", SMALL[:8])[0]
TWO = Against(engines=("vllm",), model="small", modules=from_sizes(lora.model_config(2)))
SETTINGS = lora.config(r=1, target_modules=["down_proj"])


def sound(folder, content):
    """Whether these bytes pass; every refusal is a finding, never an exception."""
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(SETTINGS))
    (folder / "adapter_model.safetensors").write_bytes(content)
    return examine(folder, TWO)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("adapter")


@given(at=st.integers(0, HEADER - 1), byte=st.integers(0, 255))
def test_a_changed_byte_of_the_header_makes_it_refused_or_changes_nothing(place, at, byte):
    """The same tensors with the same numbers, or none at all."""
    changed = SMALL[:at] + bytes([byte]) + SMALL[at + 1 :]
    whole, found = sound(place, SMALL), sound(place, changed)
    assert not found.healthy or found.facts == whole.facts


@pytest.mark.parametrize("cut", [*range(0, HEADER, 7), *range(HEADER, len(SMALL), 997), len(SMALL) - 1])
def test_a_file_cut_anywhere_is_refused(tmp_path, cut):
    assert {each.reason for each in sound(tmp_path / "a", SMALL[:cut]).findings} == {Reason.WEIGHTS_DAMAGED}


@given(content=st.binary(max_size=400))
def test_no_bytes_make_the_doctor_fail(place, content):
    """Whatever lies there: a diagnosis."""
    assert not sound(place, content).healthy


@given(at=st.integers(0, len(json.dumps(SETTINGS)) - 1), byte=st.integers(0, 255))
def test_no_configuration_makes_the_doctor_fail(place, at, byte):
    """Changed anywhere: refused, or still about these tensors."""
    sound(place, SMALL)
    text = bytearray(json.dumps(SETTINGS).encode())
    text[at] = byte
    (place / "adapter_config.json").write_bytes(bytes(text))
    found = examine(place, TWO)
    assert not found.healthy or found.facts.rank == 1
