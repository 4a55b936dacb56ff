"""Whatever a file holds, and whatever a path leads to, the answer is a registry or faults: never another error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import load
from registry.load import LARGEST_FILE, RegistryRefused
from registry.syntax import LARGEST

FILE = Path("r.yaml")
WORDS = st.sampled_from(
    ["models", "a", "engine", "vllm", "source", "x", "options", "aliases", "urls", "launcher", "external", "timeouts",
     "idle", "queue", "off", "2s", "${env:X}", "${", "pypi://a@1/b", "hf://x", "adapters", "slots", "environments", "",
     "\0", "replicas"]
)  # fmt: skip
VALUES = st.recursive(
    st.one_of(WORDS, st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(WORDS, inner, max_size=5)),
    max_leaves=20,
)


def _outcome(content):
    try:
        return load.parse(load.decode(content, FILE), FILE, {"X": "y"}, lambda _: False)
    except RegistryRefused as refused:
        found = refused.faults
    else:
        return []
    assert "\n".join(str(fault) for fault in found).encode(), "a refusal says why, in text that can be printed"
    return [(fault.line, fault.message) for fault in found]


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_registry_or_refused(content):
    _outcome(content)


@settings(deadline=None)
@given(st.text(alphabet="models: {}[]&*!|>'\"%@`#,?-\n\t\\Ux0~<", max_size=60))
def test_anything_that_looks_like_yaml_is_a_registry_or_refused(text):
    _outcome(text.encode())


@settings(deadline=None)
@given(VALUES)
def test_any_values_where_a_registry_is_expected_are_answered(value):
    """Every field meets every type."""
    _outcome(yaml.safe_dump({"models": {"a": value, "b": {"engine": "vllm", "source": value}}}).encode())


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (b"", 1, "the file is empty: it needs 'models:'"),
        (b"# nothing\n", 1, "the file is empty: it needs 'models:'"),
        (b"~", 1, "the file must be a mapping (lines of 'key: value')"),
        (b"[1]", 1, "the file must be a mapping (lines of 'key: value')"),
        (b"{}", 1, "the file: 'models' is missing"),
        (b"models:", 1, "models has no value: write one or remove the line"),
        (b"models: {}", 1, "models is empty: name at least one model"),
        (b"models:\n\ta: 1", 2, "not YAML: a tab cannot indent or separate; use spaces"),
        (b"models: {}\n---\nx: 1", 2, "a registry is one YAML document: remove the '---' in the middle"),
        (b"models:\n  a: \xff\n", 2, "not text in UTF-8"),
        (b"models:\n  a: \x00\n", 2, "not YAML: the character '\\x00' is not allowed"),
        (b'a: "\\UFFFFFFFF"', 1, "not YAML: an escape in quotes is not a character"),
        (b"!!python/object:os.system {}", 1, "YAML tags such as '!!python/object:os.system' are not allowed"),
        (b"\n" + b"[" * 40, 2, "nested deeper than 32 levels"),
        (b"models: &a {x: *a}", 1, "nested deeper than 32 levels once aliases are expanded"),
        (b"a" * (LARGEST_FILE + 1), 1, "larger than 1024 KiB: this is no registry"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(content, line, message):
    assert _outcome(content) == [(line, message)]


def test_a_bomb_of_aliases_is_refused():
    """Nine levels of nine: 400 million values from 400 bytes."""
    lines = [f"{b}: &{b} [{', '.join(['*' + a] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    [(_, message)] = _outcome("\n".join(["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]", *lines]).encode())
    assert message == f"more than {LARGEST} values once aliases are expanded"


def test_a_mapping_as_a_key_is_refused():
    assert (1, "a key must be text, not a list or mapping") in _outcome(b"? {a: b}\n: c\n")


def _unread(path):
    with pytest.raises(RegistryRefused) as refused:
        load.load(path, {})
    return [fault.message for fault in refused.value.faults]


def test_a_missing_file_is_refused(tmp_path):
    assert _unread(tmp_path / "none.yaml") == ["there is no such file"]


def test_a_folder_is_refused(tmp_path):
    assert _unread(tmp_path) == ["a folder, not a file"]


def test_a_pipe_is_refused(tmp_path):
    """Opening one would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    assert _unread(tmp_path / "pipe") == ["not a regular file"]


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert _unread(tmp_path / "loop")[0].startswith("cannot be read")


def test_a_path_that_is_none_is_refused():
    assert _unread(Path("a\0b")) == ["cannot be read: this is no path"]


def test_a_name_that_is_too_long_is_refused():
    assert _unread(Path("x" * 300))[0].startswith("cannot be read")


def test_a_file_that_cannot_be_read_is_refused():
    """Permissions do not stop root; the first page of this one stops everybody."""
    assert _unread(Path("/proc/self/mem")) == ["cannot be read: Input/output error"]
