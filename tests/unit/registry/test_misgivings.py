"""What a file says of adapters and hardly means: pinned ones that there are not, names that a model has taken."""

from __future__ import annotations

from registry.misgivings import misgivings
from registry.room import AdaptersSpec
from registry.spec import ModelSpec, Registry


def registry(**models: ModelSpec) -> Registry:
    return Registry(models=models)


def spec(aliases: tuple[str, ...] = (), **room: object) -> ModelSpec:
    return ModelSpec(source="./w", engine="vllm", aliases=aliases, adapters=AdaptersSpec(**room))


def test_what_is_pinned_and_nowhere_is_told() -> None:
    """Declared or stored, it is there, or will be."""
    house = registry(m=spec(slots=4, pinned=("a", "b", "c"), declared={"a": "hf://o/a@main"}))
    (said,) = misgivings(house, {"m": ["b"], "n": ["c"]})["m"]
    assert "'c' is pinned" in said


def test_an_alias_that_takes_an_adapters_own_name_is_told_with_how_to_ask() -> None:
    """A model's name as well; the adapter of a model without room stands for nothing anyway."""
    house = registry(m=spec(slots=4), n=spec(("cat",)), off=spec())
    assert misgivings(house, {"m": ["cat", "dog"], "off": ["n"]}) == {
        "m": ("'cat' alone means the model 'n', not this model's adapter of that name, which is asked for as m:cat",)
    }


def test_nothing_is_made_up() -> None:
    assert misgivings(registry(m=spec(("default",), slots=4, pinned=("a",))), {"m": ["a"], "gone": ["b"]}) == {}


class Counted(dict[str, str]):
    """Adapters that note how often they are asked for one."""

    asked = 0

    def __contains__(self, name: object) -> bool:
        self.asked += 1
        return super().__contains__(name)


def test_of_many_models_none_is_held_against_all_the_others() -> None:
    """It is asked at each change of a catalogue, on the event loop."""
    known = {f"m{number}": Counted(cat="") for number in range(100)}
    house = registry(**{model: spec(slots=4) for model in known}, cat=spec())
    assert len(misgivings(house, known)) == len(known)
    assert sum(each.asked for each in known.values()) == 0
