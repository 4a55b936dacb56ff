"""From a source to a checkpoint, with a scripted workshop."""

import json

import pytest

from engines.progress import silent
from engines.quantize.rules import resolve
from engines.weights.failures import ChecksumMismatch, ConversionFailed, Damaged, NoSpace, SourceRefused
from engines.weights.prepare import WeightsRequest, prepare
from tests.unit.engines.weights.checkpoints import safetensors
from tests.unit.engines.weights.scripted import ScriptedWorkshop

INT4 = resolve("int4", "vllm", "vllm-cpu")
GPTQ = resolve("gptq", "vllm", "vllm-cpu")
NONE = resolve("none", "vllm", "vllm-cpu")
W8A8 = resolve("w8a8", "vllm", "vllm-cpu")
QUANTIZED = ["open", "convert", "open", "quantize", "measure"]


@pytest.fixture
def gguf(tmp_path):
    file = tmp_path / "demo.gguf"
    file.write_bytes(b"GGUF")
    return str(file)


def checkpoint(folder, config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    (folder / "model.safetensors").write_bytes(safetensors())
    return str(folder)


async def test_a_gguf_is_converted_quantized_and_measured_once(tmp_path, gguf):
    """The second call finds everything in the cache."""
    workshop = ScriptedWorkshop()
    request = WeightsRequest("demo", gguf, INT4)
    first = await prepare(request, tmp_path / "cache", silent, workshop=workshop)
    assert workshop.asked == QUANTIZED
    assert (first.layout, first.quality.ratio) == ("awq", pytest.approx(1.05))
    again = await prepare(request, tmp_path / "cache", silent, workshop=workshop)
    assert (again, workshop.asked) == (first, QUANTIZED)


async def test_another_layout_of_the_same_source_reuses_the_conversion(tmp_path, gguf):
    """Finished work is not redone."""
    workshop = ScriptedWorkshop()
    first = await prepare(WeightsRequest("demo", gguf, INT4), tmp_path / "cache", silent, workshop=workshop)
    second = await prepare(WeightsRequest("demo", gguf, GPTQ), tmp_path / "cache", silent, workshop=workshop)
    assert workshop.asked.count("convert") == 1
    assert (second.layout, second.digest != first.digest) == ("gptq", True)


async def test_other_tools_make_another_checkpoint(tmp_path, gguf):
    """A digest names all that the result depends on."""
    request = WeightsRequest("demo", gguf, INT4)
    digests = {
        (await prepare(request, tmp_path / "cache", silent, workshop=ScriptedWorkshop(digest=tools))).digest
        for tools in ("tools-1", "tools-2")
    }
    assert len(digests) == 2


async def test_weights_that_are_not_to_be_quantized_are_only_converted(tmp_path, gguf):
    """And have no quality to speak of."""
    workshop = ScriptedWorkshop()
    made = await prepare(WeightsRequest("demo", gguf, NONE), tmp_path / "cache", silent, workshop=workshop)
    assert (workshop.asked, made.layout, made.quality) == (["open", "convert"], "none", None)


@pytest.mark.parametrize("layout", [NONE, INT4])
async def test_a_packed_checkpoint_passes_through(tmp_path, layout):
    """It is served as it is, whether the registry says none or the same layout."""
    source = checkpoint(tmp_path / "packed", {"quantization_config": {"quant_method": "awq"}})
    workshop = ScriptedWorkshop()
    made = await prepare(WeightsRequest("demo", source, layout), tmp_path / "cache", silent, workshop=workshop)
    assert (str(made.path), made.layout, workshop.asked) == (source, "awq", [])


async def test_a_packed_checkpoint_is_not_packed_again(tmp_path):
    """Twice quantized is neither."""
    source = checkpoint(tmp_path / "packed", {"quantization_config": {"quant_method": "gptq"}})
    with pytest.raises(SourceRefused, match="quantized already, as gptq: set `quantization: none`"):
        await prepare(WeightsRequest("d", source, INT4), tmp_path / "cache", silent, workshop=ScriptedWorkshop())


async def test_a_plain_checkpoint_is_quantized_without_conversion(tmp_path):
    """It is what the quantizer reads."""
    workshop = ScriptedWorkshop()
    source = checkpoint(tmp_path / "plain", {})
    await prepare(WeightsRequest("demo", source, INT4), tmp_path / "cache", silent, workshop=workshop)
    assert "convert" not in workshop.asked


async def test_a_wrong_checksum_stops_before_any_work(tmp_path, gguf):
    """Nothing is made of bytes that nobody vouched for."""
    workshop = ScriptedWorkshop()
    with pytest.raises(ChecksumMismatch):
        await prepare(WeightsRequest("d", gguf, INT4, "0" * 64), tmp_path / "cache", silent, workshop=workshop)
    assert workshop.asked == []


@pytest.mark.parametrize("step", ["convert", "quantize", "measure"])
@pytest.mark.parametrize("error", [ConversionFailed("tool"), NoSpace("full")])
async def test_a_failing_tool_leaves_nothing_half_made(tmp_path, gguf, step, error):
    """What is published is whole; what is not is gone; the next try succeeds."""
    request, cache = WeightsRequest("demo", gguf, INT4), tmp_path / "cache"
    with pytest.raises(type(error)):
        await prepare(request, cache, silent, workshop=ScriptedWorkshop(step, error))
    whole = [path for path in (cache / "checkpoints").iterdir() if path.is_dir()]
    assert len(whole) == {"convert": 0, "quantize": 1, "measure": 2}[step]
    assert (await prepare(request, cache, silent, workshop=ScriptedWorkshop())).path.exists()


async def test_what_was_quantized_is_not_quantized_again_because_measuring_failed(tmp_path, gguf):
    """The longest stage of all is kept as soon as it is over."""
    request, cache = WeightsRequest("demo", gguf, INT4), tmp_path / "cache"
    with pytest.raises(ConversionFailed):
        await prepare(request, cache, silent, workshop=ScriptedWorkshop("measure", ConversionFailed("killed")))
    again = ScriptedWorkshop()
    made = await prepare(request, cache, silent, workshop=again)
    assert (again.asked, made.quality.layout) == (["open", "measure"], "awq")
    assert len([path for path in (cache / "checkpoints").iterdir() if path.is_dir()]) == 2


async def test_weights_that_quantizing_ruined_are_not_kept(tmp_path, gguf):
    """Nobody would want them, and the next try must not find them."""
    request, cache = WeightsRequest("demo", gguf, INT4), tmp_path / "cache"
    with pytest.raises(ConversionFailed, match="ruined the weights"):
        await prepare(request, cache, silent, workshop=ScriptedWorkshop(perplexity=float("inf")))
    assert len([path for path in (cache / "checkpoints").iterdir() if path.is_dir()]) == 1


async def test_another_calibration_text_makes_another_checkpoint_of_a_tuned_layout_only(tmp_path, gguf):
    """Rounding to the nearest number reads no text."""
    text, cache = tmp_path / "text.txt", tmp_path / "cache"
    text.write_text("words")
    for layout, differs in ((INT4, True), (W8A8, False)):
        ours = await prepare(WeightsRequest("d", gguf, layout), cache, silent, workshop=ScriptedWorkshop())
        workshop = ScriptedWorkshop()
        request = WeightsRequest("d", gguf, layout, calibration=text)
        theirs = await prepare(request, cache, silent, workshop=workshop)
        assert ((theirs.digest != ours.digest), workshop.calibration) == (differs, text if differs else None)


async def test_a_calibration_text_that_is_not_there_is_refused(tmp_path, gguf):
    """In a sentence, before any tool runs."""
    request = WeightsRequest("d", gguf, INT4, calibration=tmp_path / "absent")
    with pytest.raises(SourceRefused, match="calibration text cannot be read"):
        await prepare(request, tmp_path / "cache", silent, workshop=ScriptedWorkshop())


async def test_too_little_disk_is_said_before_the_tools_are_installed(tmp_path, gguf):
    """Gigabytes of tools for nothing."""
    workshop = ScriptedWorkshop()
    with pytest.raises(NoSpace, match=r"converting demo\.gguf"):
        await prepare(
            WeightsRequest("demo", gguf, INT4), tmp_path / "cache", silent, workshop=workshop, free_of=lambda _: 0
        )
    assert workshop.asked == []


@pytest.mark.parametrize(
    ("name", "complaint"), [("absent", "no such file"), ("empty", "not a checkpoint"), ("a.bin", r"must be a \.gguf")]
)
async def test_a_path_that_holds_no_weights_is_refused(tmp_path, name, complaint):
    """With what was expected instead."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.bin").touch()
    request = WeightsRequest("demo", name, INT4, folder=tmp_path)
    with pytest.raises(SourceRefused, match=complaint):
        await prepare(request, tmp_path / "cache", silent, workshop=ScriptedWorkshop())


async def test_the_last_report_says_that_the_weights_are_ready(tmp_path, gguf):
    """Whoever shows a bar closes it then."""
    reports = []
    await prepare(WeightsRequest("demo", gguf, INT4), tmp_path / "cache", reports.append, workshop=ScriptedWorkshop())
    assert (reports[-1].task, reports[-1].fraction) == ("weights demo", 1.0)
    fractions = [report.fraction for report in reports]
    assert fractions == sorted(fractions)


async def test_a_limit_of_the_cache_spares_what_was_just_made(tmp_path, gguf):
    """Even if that alone is more; what the way to it left behind goes."""
    environ = {"ENGINEHOUSE_CACHE_LIMIT": "1"}
    request = WeightsRequest("demo", gguf, INT4)
    made = await prepare(request, tmp_path / "cache", silent, workshop=ScriptedWorkshop(), environ=environ)
    kept = [path.name for path in (tmp_path / "cache/checkpoints").iterdir() if path.is_dir()]
    assert (made.path.exists(), made.path.name in kept) == (True, True)
    again = await prepare(
        WeightsRequest("x", gguf, NONE), tmp_path / "cache", silent, workshop=ScriptedWorkshop(), environ=environ
    )
    assert (again.path.exists(), made.path.exists()) == (True, False)


async def test_a_limit_that_is_no_size_is_refused(tmp_path, gguf):
    """Before any work."""
    with pytest.raises(SourceRefused, match=r"\$ENGINEHOUSE_CACHE_LIMIT: 'much' is not a size"):
        await prepare(WeightsRequest("demo", gguf, INT4), tmp_path, silent, environ={"ENGINEHOUSE_CACHE_LIMIT": "much"})


async def test_a_local_pickle_is_taken_only_where_it_is_allowed(tmp_path):
    """Reading it runs code."""
    source = checkpoint(tmp_path / "p", {})
    (tmp_path / "p/model.safetensors").rename(tmp_path / "p/pytorch_model.bin")
    with pytest.raises(SourceRefused, match="write `allow_pickle: true`"):
        await prepare(WeightsRequest("d", source, NONE), tmp_path / "cache", silent, workshop=ScriptedWorkshop())
    trusted = WeightsRequest("d", source, NONE, allow_pickle=True)
    made = await prepare(trusted, tmp_path / "cache", silent, workshop=ScriptedWorkshop())
    assert str(made.path) == source


async def test_a_damaged_local_checkpoint_is_refused(tmp_path):
    """Before an engine reads it."""
    source = checkpoint(tmp_path / "p", {})
    (tmp_path / "p/model.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(Damaged, match=r"model\.safetensors is damaged"):
        await prepare(WeightsRequest("d", source, NONE), tmp_path / "cache", silent, workshop=ScriptedWorkshop())
