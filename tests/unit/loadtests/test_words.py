"""An adapter that says one word is a sound one, and writes into that word's direction."""

import json
import struct

import pytest

from engines.adapters.doctor import examine
from loadtests.words import WORDS, said, say
from tests.lora import HIDDEN, VOCABULARY


@pytest.fixture
def checkpoint(tmp_path):
    """Embeddings that are all the same but one word's, which is longer in its first place; a norm of ones."""
    places = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    entries, at = {}, 0
    for name, shape in places.items():
        octets = 2 * HIDDEN * (shape[0] if len(shape) > 1 else 1)
        entries[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [at, at + octets]}
        at += octets
    header = json.dumps(entries).encode()
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        start = file.tell()
        file.seek(start + WORDS["moon"] * 2 * HIDDEN)
        file.write(struct.pack("<e", 1.0))
        file.seek(start + entries["model.norm.weight"]["data_offsets"][0])
        file.write(struct.pack(f"<{HIDDEN}e", *[1.0] * HIDDEN))
    return tmp_path


def test_the_doctor_passes_it(checkpoint, tmp_path):
    """So do the engines that serve single layers."""
    made = examine(say("moon", tmp_path / "moon", checkpoint))
    assert (made.findings, made.facts.rank) == ((), 1)


def test_it_writes_the_words_own_direction(checkpoint, tmp_path):
    """Here that is the first place, and nothing else."""
    weights = (say("moon", tmp_path / "moon", checkpoint) / "adapter_model.safetensors").read_bytes()
    written = struct.unpack(f"<{HIDDEN}f", weights[-4 * HIDDEN :])
    assert (written[0], set(written[1:])) == (pytest.approx(4000), {0.0})


def test_an_unknown_word_is_refused(checkpoint, tmp_path):
    with pytest.raises(KeyError):
        say("xylophone", tmp_path / "x", checkpoint)


def test_what_was_said_is_found_in_an_answer():
    assert list(said(" moon moon, tiger")) == ["moon", "tiger"]
