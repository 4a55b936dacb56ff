"""`enginehouse adapters doctor`: exit status, words and JSON; and the model that `--base` names."""

import json
import shutil

import pytest

from cli.__main__ import main
from cli.below import against
from cli.mistake import Mistake
from tests import lora

REGISTRY = """
models:
  small:
    source: {source}
    engine: sglang
    context: 64
    adapters: {{slots: 2, max_rank: 8}}
    aliases: [short]
  far: {{launcher: external, engine: vllm, urls: ["http://127.0.0.1:1"]}}
"""


@pytest.fixture
def registry(tmp_path):
    path = tmp_path / "registry.yaml"
    path.write_text(
        REGISTRY.format(source=lora.checkpoint(tmp_path / "model", layers=2, name="org/SmolLM2-135M-Instruct"))
    )
    return path


@pytest.fixture
def adapter(tmp_path):
    return lora.write(tmp_path / "adapter", shapes=lora.tensors(layers=2))


def doctor(*words):
    return main(["adapters", "doctor", *map(str, words)])


def test_a_sound_adapter_ends_with_0(adapter, registry, tmp_path, capsys):
    assert doctor(adapter, "--base", "short", "--registry", registry, "--cache", tmp_path / "cache") == 0
    assert "can be served by sglang on small" in capsys.readouterr().out


def test_a_refused_one_ends_with_1_and_every_reason(tmp_path, registry, capsys):
    folder = lora.write(tmp_path / "a", lora.config(r=16, use_dora=True), lora.tensors(layers=2, rank=16))
    assert doctor(folder, "--base", "small", "--registry", registry, "--cache", tmp_path / "cache", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["engines"], said["base"]) == (False, [], "small")
    assert {each["reason"] for each in said["findings"]} == {"rank_too_high", "dora"}


def test_without_a_base_every_engine_is_asked(adapter, capsys):
    assert doctor(adapter, "--json") == 0
    assert json.loads(capsys.readouterr().out)["engines"] == ["vllm", "sglang", "lmdeploy"]


def test_an_archive_is_examined_as_what_it_holds(adapter, tmp_path):
    assert doctor(shutil.make_archive(str(tmp_path / "packed"), "zip", adapter)) == 0


def test_what_is_no_archive_is_refused(tmp_path, capsys):
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8bnonsense")
    assert doctor(tmp_path / "a.tar.gz", "--json") == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["reason"] == "archive_damaged"


def test_a_path_that_is_not_there_is_a_mistake(tmp_path, capsys):
    assert doctor(tmp_path / "nothing") == 2
    assert "there is no such file or folder" in capsys.readouterr().err


def test_a_base_that_is_nothing_is_a_mistake_that_lists_the_models(registry, tmp_path):
    with pytest.raises(Mistake, match="it has small, far"):
        against("nothing", registry, tmp_path / "cache", {})


def test_a_model_of_the_registry_brings_its_engine_rank_names_and_layers(registry, tmp_path):
    found = against("short", registry, tmp_path / "cache", {})
    assert (found.model, found.engines, found.max_rank, found.slots) == ("small", ("sglang",), 8, 2)
    assert found.certain_names == frozenset({"smollm2-135m-instruct"})
    assert found.modules.widths["model.layers.1.self_attn.k_proj"] == (576, 192)


def test_the_layers_of_somebody_elses_model_are_not_known(registry, tmp_path):
    found = against("far", registry, tmp_path / "cache", {})
    assert found.modules is None
    assert "somebody else's" in found.why_unknown


def test_a_checkpoint_is_a_base_by_its_path(tmp_path):
    found = against(
        str(lora.checkpoint(tmp_path / "model", layers=1)), tmp_path / "no-registry.yaml", tmp_path / "cache", {}
    )
    assert found.modules.find("model.layers.0.mlp.up_proj")
    assert found.max_rank is None
