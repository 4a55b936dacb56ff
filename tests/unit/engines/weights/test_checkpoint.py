"""Whether a folder can be the checkpoint that it says it is."""

import json
import struct

import pytest

from engines.weights.checkpoint import examine
from engines.weights.failures import Damaged
from tests.unit.engines.weights.checkpoints import safetensors

GOOD = safetensors()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    (tmp_path / "model.safetensors").write_bytes(GOOD)
    return tmp_path


def test_a_whole_one_passes(folder):
    """Headers and configuration fit."""
    examine("m", folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "only 0 bytes long"),
        (GOOD[:-1], "its tensors take 7 bytes, and the file holds 6"),
        (GOOD + b"x", "the file holds 8"),
        (struct.pack("<Q", 2**63) + b"{}", "claims 9223372036854775808 bytes in a file of 10"),
        (safetensors(b"", header=b"no json"), "not a list of tensors"),
        (safetensors(b"", header=b"[]"), "not a list of tensors"),
        (safetensors(b"", header=b'{"w": {}}'), "not a list of tensors"),
        (
            safetensors(b"123", header=b'{"w": {"dtype": "U8", "shape": [4], "data_offsets": [0, 3]}}'),
            "its shape needs",
        ),
        (b"<html>login</html>", "its header claims"),
    ],
)
def test_a_damaged_header_is_seen_before_an_engine_reads_it(folder, content, said):
    """The message names the file and what to do."""
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(Damaged, match=f"model.safetensors is damaged: .*{said}.*Fetch it again"):
        examine("m", folder)


@pytest.mark.parametrize(
    ("config", "said"),
    [("{", "is not JSON"), ("[]", "not a JSON object"), ("{}", "names no architecture"),
     ('{"architectures": [1]}', "must be a list of names")],
)  # fmt: skip
def test_a_configuration_that_names_no_architecture_is_refused(folder, config, said):
    """No engine could tell how to load it."""
    (folder / "config.json").write_text(config)
    with pytest.raises(Damaged, match=said):
        examine("m", folder)


@pytest.mark.parametrize("shard", ["missing.safetensors", "../model.safetensors"])
def test_an_index_names_files_of_its_own_folder_that_are_there(folder, shard):
    """A checkpoint without one of its shards loads for minutes before it fails."""
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": shard}}))
    with pytest.raises(Damaged, match="is not whole"):
        examine("m", folder)


def test_an_index_is_read_whatever_its_length(folder):
    """That of a model with thousands of experts has tens of megabytes."""
    names = {"model.layers.0.mlp.experts.0." + "w" * 17_000_000: "model.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    examine("m", folder)
