"""How a change of the registry would be gone."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from cli.__main__ import main
from cli.plan import Way, way
from engines.memory.habits import GIB
from engines.memory.machine import Machine
from registry.changes import Step, Verb
from registry.spec import ModelSpec

SPEC = ModelSpec(source="pypi://a@1/b", engine="vllm")
SWAP = Step(Verb.SWAP, "m")
MACHINE = Machine(24 * GIB, 4 * GIB)


def needing(octets):
    return SimpleNamespace(total=octets, wish=SimpleNamespace(device="cpu"))


@pytest.mark.parametrize(
    ("strategy", "octets", "how"),
    [("auto", GIB, "surge"), ("auto", 5 * GIB, "replace"), ("surge", 5 * GIB, "surge"), ("replace", GIB, "replace")],
)
def test_a_swap_is_a_surge_where_memory_holds_both(strategy, octets, how):
    """Unless the registry says how."""
    planned = way(SWAP, SPEC.model_copy(update={"strategy": strategy}), needing(octets), MACHINE)
    assert planned == Way(SWAP, how, octets, 4 * GIB)


def test_where_nothing_is_known_both_ways_are_named():
    assert str(way(SWAP, SPEC, None, MACHINE)) == "swap m: surge, or replace if memory does not hold both"


def test_an_amendment_needs_nothing():
    amended = way(Step(Verb.AMEND, "m"), SPEC, needing(GIB), MACHINE)
    assert (str(amended), amended.shown()["needs"]) == ("amend m", None)


def test_a_resize_says_from_how_many_to_how_many():
    step = Step(Verb.RESIZE, "m", "1 → 3 replicas, no restart")
    assert str(way(step, SPEC, needing(GIB), MACHINE)) == "resize m: 1 → 3 replicas, no restart"
    assert way(step, SPEC, None, MACHINE).shown()["detail"] == "1 → 3 replicas, no restart"


def test_a_start_says_what_it_needs():
    assert str(way(Step(Verb.START, "m"), SPEC, needing(GIB), MACHINE)) == "start m (needs 1.0 GiB, 4.0 GiB free)"


def test_without_a_house_everything_would_be_started(tmp_path, capsys):
    path = tmp_path / "r.yaml"
    path.write_text("models:\n  m: {engine: vllm, launcher: external, urls: ['http://h:1']}\n")
    assert main(["plan", "--registry", str(path), "--state", str(tmp_path / "none"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["running"], [(each["verb"], each["model"]) for each in told["steps"]]) == (False, [("start", "m")])


def test_faults_are_told_as_check_tells_them(tmp_path, capsys):
    """Exit 1, and JSON where it was asked for."""
    path = tmp_path / "r.yaml"
    path.write_text("models:\n  m: {engine: vlm, launcher: external, urls: ['http://h:1']}\n")
    words = ["plan", "--registry", str(path), "--state", str(tmp_path / "none")]
    plain, as_json = main(words), main([*words, "--json"])
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert (plain, as_json, told["ok"]) == (1, 1, False)
    assert f"{path}:2: " in err
    assert f"{path}:2: " in told["faults"][0]
