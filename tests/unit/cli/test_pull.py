"""Which models `enginehouse pull` prepares, and what becomes of failures."""

from pathlib import Path

import pytest

from cli.mistake import Mistake
from cli.pull import chosen, fetch
from engines.progress import silent
from engines.supervisor.shared import PreparationFailed
from registry.spec import ModelSpec, Registry

LOCAL = ModelSpec(source="/weights", engine="vllm", aliases=["short"])
EXTERNAL = ModelSpec(launcher="external", urls=["http://127.0.0.1:1"], engine="vllm")
REGISTRY = Registry(models={"a": LOCAL, "b": ModelSpec(source="/other", engine="vllm"), "far": EXTERNAL})


def test_all_models_that_start_here_are_pulled():
    """External workers have their weights already."""
    assert list(chosen(REGISTRY, [], Path("r.yaml"))) == ["a", "b"]


def test_a_model_is_chosen_by_name_or_alias():
    """Once, even if named twice."""
    assert list(chosen(REGISTRY, ["short", "a"], Path("r.yaml"))) == ["a"]


def test_an_unknown_model_is_a_mistake():
    """It says what there is."""
    with pytest.raises(Mistake, match=r"r\.yaml has no model c; it has a, b, far"):
        chosen(REGISTRY, ["c"], Path("r.yaml"))


async def test_a_failure_does_not_stop_the_others():
    """Each goes to its end."""
    prepared = []

    async def prepare(name, spec, _):
        if name == "a":
            raise PreparationFailed("a: no network")
        prepared.append((name, spec.source))

    assert await fetch({"a": LOCAL, "b": REGISTRY.models["b"]}, prepare, silent) == ["a: no network"]
    assert prepared == [("b", "/other")]
