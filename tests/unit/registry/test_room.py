"""What a file may say of adapters, and where paths in it lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.faults import RegistryRefused
from registry.load import parse

FILE = Path("/etc/house/r.yaml")


def room(text: str, *, present: bool = True):
    models = f"models:\n  m:\n    source: hf://o/n@main\n    engine: vllm\n    adapters: {text}\n"
    return parse(models, FILE, {}, lambda _: present).models["m"].adapters


def refused(text: str, *, present: bool = True) -> str:
    with pytest.raises(RegistryRefused) as caught:
        room(text, present=present)
    (fault,) = caught.value.faults
    return fault.message


def test_paths_are_taken_from_the_files_folder():
    found = room("{slots: 2, declared: {a: ./x, b: hf://o/n@main}, watch: in, pinned: [a]}")
    assert (found.declared, found.watch) == ({"a": "/etc/house/x", "b": "hf://o/n@main"}, "/etc/house/in")


@pytest.mark.parametrize("text", ["{pinned: [a]}", "{declared: {a: ./x}}", "{watch: ./x}"])
def test_adapters_need_room(text):
    assert "set slots to 1 or more" in refused(text)


def test_no_more_are_pinned_than_there_are_slots():
    assert "slots is 1" in refused("{slots: 1, pinned: [a, b]}")


@pytest.mark.parametrize("name", ["A", "a:b", "a@b", "../a", "x" * 65])
def test_names_are_adapters_names(name):
    assert "1 to 64 of a-z" in refused(f"{{slots: 1, pinned: ['{name}']}}")


def test_an_adapter_does_not_come_in_a_wheel():
    assert "must be a path, hf://" in refused("{slots: 1, declared: {a: pypi://p@1/x}}")


@pytest.mark.parametrize("text", ["{slots: 1, declared: {a: ./x}}", "{slots: 1, watch: ./x}"])
def test_what_is_not_there_is_said_with_its_line(text):
    assert "missing: there is no file or folder './x'" in refused(text, present=False)


def test_two_models_do_not_watch_one_folder():
    """However it is spelled; the second one's line is told."""
    model = "  {}:\n    source: hf://o/n@main\n    engine: vllm\n    adapters: {{slots: 1, watch: {}}}\n"
    text = "models:\n" + "".join(model.format(*each) for each in (("m", "./in"), ("n", "x/../in/"), ("o", "./other")))
    with pytest.raises(RegistryRefused) as caught:
        parse(text, FILE, {}, lambda _: True)
    (fault,) = caught.value.faults
    assert (fault.line, "models.n.adapters.watch is the folder that 'm' watches" in fault.message) == (9, True)
