"""What is not a plain file is refused, at every place where a checkpoint's own files are read."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from engines import plainfile, safetensors
from engines.adapters import below, modules
from engines.memory import checkpoint, gguf
from engines.plainfile import NotPlain
from engines.quantize.layout import NONE
from engines.weights import architecture, original
from engines.weights.checkpoint import examine
from engines.weights.failures import Damaged, SourceRefused
from engines.weights.request import WeightsRequest


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD = {"a pipe": pipe, "a socket": listening, "a device": zeros, "a folder": Path.mkdir}


@pytest.mark.parametrize(("kind", "make"), ODD.items(), ids=ODD)
def test_what_has_no_end_is_refused_at_once(tmp_path: Path, kind: str, make: Callable[[Path], None]) -> None:
    """By a sentence that says what it is, and where."""
    make(tmp_path / "x")
    with pytest.raises(NotPlain) as refused:
        plainfile.content(tmp_path / "x")
    assert str(refused.value) == f"{tmp_path / 'x'} is {kind}: put the file itself there"


def test_a_plain_file_is_read_also_by_a_link(tmp_path: Path) -> None:
    """As hubs' caches have them."""
    (tmp_path / "blob").write_bytes(b"{}")
    (tmp_path / "config.json").symlink_to("blob")
    assert plainfile.content(tmp_path / "config.json") == b"{}"
    with pytest.raises(FileNotFoundError):
        plainfile.content(tmp_path / "none")


def test_a_configuration_without_measure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"123456")
    with pytest.raises(NotPlain, match="longer than"):
        plainfile.content(tmp_path / "x", longest=5)


def test_only_what_is_not_hidden_counts(tmp_path: Path) -> None:
    """A repository's own socket, say; links that lead nowhere are no danger."""
    (tmp_path / ".git").mkdir()
    pipe(tmp_path / ".git/ipc")
    (tmp_path / "link").symlink_to("nowhere")
    assert list(plainfile.others(tmp_path)) == []
    pipe(tmp_path / "tokenizer.json")
    assert list(plainfile.others(tmp_path)) == [f"{tmp_path / 'tokenizer.json'} is a pipe: put the file itself there"]


READERS = {
    "memory": checkpoint.facts,
    "memory of a gguf": lambda folder: gguf.config(folder / "config.json"),
    "modules": modules.of_model,
    "packing": original.packed_layout,
    "whole": lambda folder: examine("m", folder),
    "header": lambda folder: safetensors.read(folder / "config.json"),
    "source": lambda folder: original._accept(WeightsRequest("m", str(folder), NONE), folder),
}


@pytest.mark.parametrize("make", [pipe, zeros], ids=["pipe", "device"])
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_no_reader_of_a_checkpoint_waits_for_a_pipe(
    tmp_path: Path, read: Callable[[Path], object], make: Callable[[Path], None]
) -> None:
    """Each says it in its own way."""
    make(tmp_path / "config.json")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(
        (OSError, ValueError, SourceRefused, Damaged, modules.ModulesUnknown), match=r"config\.json|no file"
    ):
        read(tmp_path)


def test_who_only_looks_for_a_name_finds_none(tmp_path: Path) -> None:
    pipe(tmp_path / "config.json")
    assert architecture.named_in(tmp_path, trust_remote_code=False) == ()
    assert list(below.published(tmp_path)) == []


def test_the_same_name_is_said_of_what_is_open(tmp_path: Path) -> None:
    """Whoever reads it says what is wrong with it by its path, not by a descriptor's number."""
    (tmp_path / "m.gguf").write_bytes(b"nothing of the kind")
    with pytest.raises(gguf.GgufRefused, match=r"m\.gguf: not a GGUF file"):
        gguf.config(tmp_path / "m.gguf")


def test_only_what_engines_read_has_to_be_plain(tmp_path: Path) -> None:
    """Hidden files, what lies further below and dangling links are nobody's weights."""
    (tmp_path / "state").mkdir()
    for place in (".pipe", "state/control", "x"):
        pipe(tmp_path / place)
    (tmp_path / "gone").symlink_to("nowhere")
    assert list(plainfile.others(tmp_path)) == [f"{tmp_path / 'x'} is a pipe: put the file itself there"]
