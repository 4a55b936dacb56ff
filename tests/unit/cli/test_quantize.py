"""What `enginehouse quantize` makes, for whom, and how it reports."""

import json

import pytest

from cli.mistake import Mistake
from cli.quantize import Wanted, Word, as_text, for_json, found, kept, make, ordered
from engines.progress import silent
from engines.quantize.layout import FP8, W8A8
from registry.spec import ModelSpec
from tests.unit.engines.weights.checkpoints import safetensors
from tests.unit.engines.weights.scripted import ScriptedWorkshop

ON_CPU = {"engine": "vllm", "environments": {"vllm": "vllm-cpu"}}


@pytest.fixture
def registry(tmp_path):
    checkpoint(tmp_path / "weights")
    path = tmp_path / "registry.yaml"
    models = {"m": {"source": "./weights", "aliases": ["default"], **ON_CPU}}
    models["far"] = {"launcher": "external", "urls": ["http://127.0.0.1:1"], "engine": "vllm"}
    path.write_text(json.dumps({"models": models}))
    return path


def checkpoint(folder, **config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 576, **config}))
    (folder / "model.safetensors").write_bytes(safetensors())
    return folder


def asked(spec_or_path, environment="vllm-cpu", **changes):
    spec = spec_or_path if isinstance(spec_or_path, ModelSpec) else None
    return Wanted("m" if spec else str(spec_or_path), spec, "vllm", environment, **changes)


@pytest.mark.parametrize("name", ["m", "default"])
def test_a_model_of_the_registry_is_made_for_its_engine(registry, name):
    """By its name or an alias."""
    wanted = found(name, registry, None, {})
    assert (wanted.engine, wanted.environment, wanted.adapters) == ("vllm", "vllm-cpu", False)
    assert found(name, registry, "sglang", {}).engine == "sglang"


@pytest.mark.usefixtures("registry")
def test_a_path_needs_no_registry(tmp_path):
    """A checkpoint may be quantized before any file names it."""
    assert found(str(tmp_path / "weights"), tmp_path / "absent.yaml", None, {}).spec is None


@pytest.mark.parametrize(
    ("name", "environment", "complaint"),
    [
        ("x", None, "neither a model of .* nor a file"),
        ("far", None, "no weights here"),
        ("m", "moon", "known: vllm-cpu, .*lmdeploy$"),
    ],
)
def test_what_cannot_be_made_is_said_at_once(registry, name, environment, complaint):
    """Before anything is installed or fetched."""
    with pytest.raises(Mistake, match=complaint):
        found(name, registry, environment, {})


def test_a_layout_that_the_models_engine_does_not_load_is_made_all_the_same(registry):
    """FP8 on a machine without a GPU: the report says where it loads. But who names an environment means it."""
    wanted = found("m", registry, None, {})
    request, note = ordered(wanted, Word.FP8, registry, None, strict=False)
    assert request.layout == FP8
    assert "does not take 'fp8' weights: FP8 has no kernel on CPU: it needs a GPU" in note
    with pytest.raises(Mistake, match=r"needs a GPU\. The nearest is w8a8"):
        ordered(found("m", registry, "vllm-cpu", {}), Word.FP8, registry, None, strict=True)


def test_groups_that_do_not_divide_the_model_are_refused_with_what_works(registry):
    """576 is not a multiple of 128, which is what GPUs' engines get of AWQ."""
    with pytest.raises(Mistake, match="The nearest is w4a16"):
        ordered(found("m", registry, "sglang", {}), Word.AWQ, registry, None, strict=True)


async def test_the_report_names_layout_algorithm_and_every_figure(tmp_path):
    """With where it loads, and what stands against it here."""
    request, _ = ordered(asked(checkpoint(tmp_path / "w")), Word.W8A8, tmp_path / "r.yaml", None, strict=True)
    made = await make(request, "a note", tmp_path / "cache", silent, ScriptedWorkshop())
    told = as_text(made)
    for words in ("w as w8a8: 8 bits", "round-to-nearest", "20.0 → 21.0 (x 1.05)", "90.0%", "0.020", "note: a note"):
        assert words in told
    data = for_json(made)
    assert (data["layout"], data["loads_in"]) == ("w8a8", ["vllm-cpu", "vllm", "sglang"])
    assert data["quality"]["kl"] == 0.02


async def test_a_source_that_is_quantized_so_already_is_left_alone(tmp_path):
    """Twice quantized is neither; another layout is refused."""
    source = checkpoint(tmp_path / "w", quantization_config={"quant_method": "gptq"})
    request, _ = ordered(asked(source), Word.GPTQ, tmp_path / "r.yaml", None, strict=True)
    made = await make(request, "", tmp_path / "cache", silent, ScriptedWorkshop())
    assert "is quantized already, as gptq" in as_text(made)
    other, _ = ordered(asked(source), Word.AWQ, tmp_path / "r.yaml", None, strict=True)
    with pytest.raises(Mistake, match="quantized already, as gptq"):
        await make(other, "", tmp_path / "cache", silent, ScriptedWorkshop())


async def test_a_copy_is_whole(tmp_path):
    """`--out`: with the report beside the weights, and no draft left."""
    request, _ = ordered(asked(checkpoint(tmp_path / "w")), Word.W8A8, tmp_path / "r.yaml", None, strict=True)
    made = await make(request, "", tmp_path / "cache", silent, ScriptedWorkshop())
    copied = kept(made, tmp_path / "out", tmp_path / "cache")
    assert copied.checkpoint.path == tmp_path / "out"
    assert {"config.json", "quality.json"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert not list(tmp_path.glob(".out*"))
    assert made.layout == W8A8
