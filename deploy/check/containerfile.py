"""What a container file says must be done: pure. Read by `deploy.check.image`, which does it.

It knows the instructions that our file uses and refuses every other, so that none is passed over unseen.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

_NOTED: Final = frozenset({"EXPOSE", "LABEL"})
"""Instructions that only tell people something."""


class Unreadable(ValueError):
    """The file says something that this reader does not know; the message names the line."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, its continued lines joined."""

    line: int
    word: str
    rest: str


@dataclass(frozen=True, slots=True)
class Image:
    """What an image's container runs with, as the instructions so far have settled it."""

    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "0:0"
    folder: str = "/"
    volumes: tuple[str, ...] = ()
    health: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """A command of the shell, in the image as it is at that point."""

    line: int
    command: str
    image: Image


@dataclass(frozen=True, slots=True)
class Copy:
    """Paths of the repository and where they go: `target` is a folder where it ends in a slash."""

    line: int
    sources: tuple[str, ...]
    target: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one target is made out of its base image."""

    base: str
    actions: tuple[Run | Copy, ...]
    image: Image


def recipe(text: str, target: str) -> Recipe:
    """How `target` is made, its parents' actions first. Raises `Unreadable`."""
    arguments, stages = _stages(steps(text))
    if target not in stages:
        raise Unreadable(f"there is no target {target}; known: {', '.join(stages)}")
    line: list[Step] = []
    parent = target
    while parent in stages:
        parent, own = stages[parent]
        line = [*own, *line]
    actions: list[Run | Copy] = []
    image = Image()
    for step in line:
        image = _settled(image, step)
        if action := _action(image, step):
            actions.append(action)
    return Recipe(re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], parent), tuple(actions), image)


def targets(text: str) -> tuple[str, ...]:
    """Every stage's name."""
    return tuple(_stages(steps(text))[1])


def steps(text: str) -> Iterator[Step]:
    """The instructions, without comments and without their line ends."""
    begun, kept = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        begun = begun if kept else number
        kept += line.removesuffix("\\")
        if not line.endswith("\\"):
            word, _, rest = kept.strip().partition(" ")
            yield Step(begun, word, rest.strip())
            kept = ""


def _stages(found: Iterator[Step]) -> tuple[dict[str, str], dict[str, tuple[str, list[Step]]]]:
    """The arguments before the first stage, and each stage's parent and steps."""
    arguments: dict[str, str] = {}
    stages: dict[str, tuple[str, list[Step]]] = {}
    own: list[Step] = []
    for step in found:
        if step.word == "FROM":
            parent, _, name = step.rest.partition(" AS ")
            own = []
            stages[name] = (parent, own)
        elif stages:
            own.append(step)
        elif step.word == "ARG":
            name, _, value = step.rest.partition("=")
            arguments[name] = value
        else:
            raise Unreadable(f"line {step.line}: {step.word} before the first FROM")
    return arguments, stages


def _settled(image: Image, step: Step) -> Image:  # noqa: PLR0911 (a table of instructions)
    match step.word:
        case "ENV":
            pairs = (word.partition("=") for word in shlex.split(step.rest))
            return replace(image, environment={**image.environment, **{name: value for name, _, value in pairs}})
        case "USER":
            return replace(image, user=step.rest)
        case "WORKDIR":
            return replace(image, folder=step.rest)
        case "VOLUME":
            return replace(image, volumes=(*image.volumes, *_words(step)))
        case "HEALTHCHECK":
            return replace(image, health=_words(replace(step, rest=step.rest.partition("CMD ")[2])))
        case "ENTRYPOINT":
            return replace(image, entrypoint=_words(step))
        case "CMD":
            return replace(image, arguments=_words(step))
    return image


def _action(image: Image, step: Step) -> Run | Copy | None:
    match step.word:
        case "RUN":
            if step.rest.startswith(("--", "[")):
                raise Unreadable(f"line {step.line}: RUN with options, or without a shell")
            return Run(step.line, step.rest, image)
        case "COPY":
            *sources, target = step.rest.split()
            if any(source.startswith("--") for source in sources) or not target.startswith("/"):
                raise Unreadable(f"line {step.line}: COPY with options, or to a relative path")
            return Copy(step.line, tuple(sources), target)
        case "ENV" | "USER" | "WORKDIR" | "VOLUME" | "HEALTHCHECK" | "ENTRYPOINT" | "CMD":
            return None
    if step.word not in _NOTED:
        raise Unreadable(f"line {step.line}: {step.word} is an instruction that this check does not know")
    return None


def _words(step: Step) -> tuple[str, ...]:
    """The words of an instruction in JSON: without a shell between, signals reach the program itself."""
    try:
        return tuple(json.loads(step.rest))
    except json.JSONDecodeError as fault:
        raise Unreadable(f"line {step.line}: {step.word} is not a JSON list: {fault}") from None
