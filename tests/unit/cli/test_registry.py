"""A wrong registry, for verbs that need a right one."""

import os
from pathlib import Path

import pytest

from cli.mistake import Mistake
from cli.registry import impossible, read_registry, unsuited
from engines.environments.hardware import CPU
from registry.load import RegistryRefused, load


def test_a_refused_registry_is_one_mistake_with_every_fault(tmp_path):
    """Each with its line."""
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m: {engine: vlm, source: .}\n  n: {engine: vllm}\n")
    with pytest.raises(Mistake) as refused:
        read_registry(file, {})
    assert f"{file}:2: " in str(refused.value)
    assert f"{file}:3: " in str(refused.value)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("fields", "line", "said"),
    [
        (
            "environments: {vllm: nowhere}",
            5,
            "there is no nowhere; known: fetcher, lmdeploy, lmdeploy-parser",
        ),
        ("quantization: fp8\n    environments: {vllm: vllm-cpu}", 5, "needs a GPU. The nearest is w8a8"),
        (
            "quantization: int8\n    adapters: {slots: 1}\n    environments: {vllm: vllm-cpu}",
            5,
            "W8A8 with adapters does not start. The nearest is awq",
        ),
        (
            "calibration: .\n    quantization: w8a8\n    environments: {vllm: vllm-cpu}",
            5,
            "w8a8 weights are not tuned, so no text is read: remove it",
        ),
        (
            "environments: {vllm: vllm-cpu}\n    replicas: {min: 0, when_idle: sleep}",
            6,
            "replicas.when_idle: sleep needs a GPU, for vllm-cpu keeps all its memory",
        ),
        ("quantization: int4\n    environments: {vllm: quantizer}", 5, "nothing is known about weights for vllm"),
    ],
)
def test_what_cannot_work_is_a_fault_with_its_line(tmp_path, fields, line, said):
    """The file is rightly written, and no engine could serve it."""
    file = tmp_path / "r.yaml"
    file.write_text(f"models:\n  m:\n    engine: vllm\n    source: .\n    {fields}\n")
    fault = impossible(load(file, {}), file, {})[0]
    assert (fault.line, fault.path) == (line, file)
    assert said in fault.message


@pytest.mark.parametrize(
    ("backend", "slots", "said"),
    [
        ("turbomind", 1, ["TurboMind has no LoRA adapters", "leave `backend` out", "awq, int4, none", "`slots: 0`"]),
        ("turbomind", 0, []),
        ("pytorch", 1, []),
    ],
)
def test_turbomind_and_adapters_are_a_fault_that_names_what_works(tmp_path, backend, slots, said):
    """It would start, passing over its adapters; only LMDeploy's PyTorch engine has them."""
    file = tmp_path / "r.yaml"
    file.write_text(
        "models:\n  m:\n    engine: lmdeploy\n    source: .\n"
        f"    adapters: {{slots: {slots}}}\n    options:\n      lmdeploy:\n        backend: {backend}\n"
    )
    faults = impossible(load(file, {}), file, {})
    assert [fault.line for fault in faults] == ([8] if said else [])
    assert all(each in faults[0].message for each in said)


@pytest.mark.parametrize(
    ("quantization", "backend", "refused"),
    [
        ("gptq", "pytorch", True),
        ("w4a16", "pytorch", True),
        ("awq", "pytorch", False),
        ("int4", "pytorch", False),
        ("none", "pytorch", False),
        ("gptq", "turbomind", False),
        ("w4a16", "turbomind", False),
    ],
)
def test_weights_that_pytorchs_engine_does_not_load_are_a_fault(tmp_path, quantization, backend, refused):
    """LMDeploy's ends when it starts; what it would take is said, at the line of the option."""
    file = tmp_path / "r.yaml"
    file.write_text(
        f"models:\n  m:\n    engine: lmdeploy\n    source: .\n    quantization: {quantization}\n"
        f"    options:\n      lmdeploy:\n        backend: {backend}\n"
    )
    faults = impossible(load(file, {}), file, {})
    assert [fault.line for fault in faults] == ([8] if refused else [])
    assert all(f"PyTorch engine loads no {quantization}" in fault.message for fault in faults)


@pytest.mark.parametrize(("ignore", "refused"), [('["lm_head"]', True), ('["lm_head", "re:.*self_attn.*"]', False)])
def test_a_checkpoint_whose_experts_alone_are_packed_is_for_pytorchs_engine_too(tmp_path, ignore, refused):
    """pytorch/nn/moe/__init__.py loads W4A16, pytorch/nn/linear/__init__.py does not."""
    groups = '{"group_0": {"weights": {"type": "int", "num_bits": 4}}}'
    packed = f'{{"quant_method": "compressed-tensors", "config_groups": {groups}, "ignore": {ignore}}}'
    (tmp_path / "config.json").write_text(f'{{"quantization_config": {packed}}}')
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m: {engine: lmdeploy, source: ., options: {lmdeploy: {backend: pytorch}}}\n")
    faults = impossible(load(file, {}), file, {})
    assert [("no w4a16 but in experts" in fault.message, fault.line) for fault in faults] == [(True, 2)] * refused


@pytest.mark.parametrize("engine", ["lmdeploy", "sglang"])
@pytest.mark.parametrize("packer", ["compressed-tensors", "fp8"])
def test_fp8_of_compressed_tensors_is_a_fault_for_lmdeploy(tmp_path, engine, packer):
    """Neither of its engines loads that; FP8 in blocks, as `quant_method: fp8` has it, they do."""
    weights = '{"weights": {"type": "float", "num_bits": 8}, "input_activations": {"num_bits": 8}}'
    packed = f'{{"quant_method": "{packer}", "config_groups": {{"group_0": {weights}}}}}'
    (tmp_path / "config.json").write_text(f'{{"quantization_config": {packed}}}')
    file = tmp_path / "r.yaml"
    file.write_text(f"models:\n  m: {{engine: {engine}, source: ., quantization: none}}\n")
    found = [
        (fault.line, "does not load compressed-tensors fp8" in fault.message)
        for fault in impossible(load(file, {}), file, {})
    ]
    assert found == [(2, True)] * ((engine, packer) == ("lmdeploy", "compressed-tensors"))


def test_the_shipped_registry_is_possible():
    """`make serve` starts from it."""
    file = Path(__file__).parents[3] / "model_registry.yaml"
    assert impossible(load(file, {}), file, {}) == ()


def test_a_packed_checkpoint_on_this_machine_is_held_against_engine_and_adapters(tmp_path):
    """INT8 W8A8 with LoRA does not start on vLLM's CPU build: said before anything is installed."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w/config.json").write_text('{"quantization_config": {"quant_method": "compressed-tensors"}}')
    file = tmp_path / "r.yaml"
    file.write_text(
        "models:\n  m:\n    engine: vllm\n    environments: {vllm: vllm-cpu}\n    source: w\n    adapters: {slots: 1}\n"
    )
    [fault] = impossible(load(file, {}), file, {})
    assert "W8A8 with adapters does not start" in fault.message


def test_a_pipe_in_place_of_a_configuration_is_a_fault_and_no_wait(tmp_path):
    """Whoever reads it would wait for whoever writes it."""
    (tmp_path / "w").mkdir()
    os.mkfifo(tmp_path / "w/config.json")
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m:\n    engine: vllm\n    environments: {vllm: vllm-cpu}\n    source: w\n")
    [fault] = impossible(load(file, {}), file, {})
    assert (fault.line, f"{tmp_path / 'w/config.json'} is a pipe" in fault.message) == (5, True)


def test_what_needs_a_gpu_is_a_note_and_no_fault(tmp_path):
    """The file may be meant for another machine."""
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m: {engine: sglang, source: .}\n")
    registry = load(file, {})
    assert impossible(registry, file, {}) == ()
    assert "needs an NVIDIA GPU" in unsuited(registry, CPU)[0]


def test_groups_are_held_against_a_checkpoint_on_this_machine(tmp_path):
    """Its config says how wide its matrices are."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w/config.json").write_text('{"hidden_size": 576}')
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m: {engine: sglang, source: w, quantization: int4}\n")
    [fault] = impossible(load(file, {}), file, {})
    assert "does not divide the model's hidden_size of 576" in fault.message


@pytest.mark.parametrize("later", ["models: [", "", None])
def test_a_file_that_breaks_while_it_is_judged_is_refused(tmp_path, later):
    """Its lines are looked up in what is there by then: half a file, an empty one, or none."""
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m: {engine: vllm, source: ., environments: {vllm: nowhere}}\n")
    registry = load(file, {})
    file.unlink() if later is None else file.write_text(later)
    with pytest.raises(RegistryRefused):
        impossible(registry, file, {})


def test_a_configuration_that_is_a_pit_is_no_bug(tmp_path):
    """Python's own JSON reader gives up on it with an error of another kind."""
    (tmp_path / "config.json").write_text('{"a":' * 100_000)
    file = tmp_path / "r.yaml"
    file.write_text("models:\n  m: {engine: vllm, source: ., environments: {vllm: vllm-cpu}}\n")
    assert impossible(load(file, {}), file, {}) == ()
