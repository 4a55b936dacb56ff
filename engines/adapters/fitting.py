"""Whether an adapter fits the model and the engine that are to serve it. Pure. Called by `doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from engines.adapters.against import Against, is_published, plain_name
from engines.adapters.config import AdapterConfig, Feature
from engines.adapters.findings import Finding, Reason
from engines.adapters.folder import CONFIG
from engines.adapters.modules import Modules, Width
from engines.adapters.support import HIGHEST_RANK, SUPPORT, Support
from engines.adapters.tensors import EMBEDDINGS, Contents, Pair, shown

_REASONS: Final[Mapping[Feature, Reason]] = {
    Feature.DORA: Reason.DORA,
    Feature.BIAS: Reason.BIAS,
    Feature.LORA_BIAS: Reason.BIAS,
    Feature.MODULES_TO_SAVE: Reason.MODULES_TO_SAVE,
    Feature.TRAINED_TOKENS: Reason.EMBEDDING_RESIZED,
}
"""By feature; others are `feature_unsupported`."""
_ADVICE: Final[Mapping[Feature, str]] = {
    Feature.RSLORA: "train without use_rslora, or save it with lora_alpha multiplied by the root of r and it off",
    Feature.RANK_PATTERN: "train with one rank for all modules",
    Feature.ALPHA_PATTERN: "train with one lora_alpha for all modules",
    Feature.INIT: "save it with path_initial_model_for_weight_conversion, which makes it a plain LoRA",
    Feature.TARGET_REGEX: "write the names of the modules into target_modules, as a list",
    Feature.OWN_CODE: "remove it: no code of an adapter is run",
}


def with_model(config: AdapterConfig, against: Against) -> Iterator[Finding]:
    """The configuration and the model."""
    if against.slots == 0:
        said = f"{against.model} has adapters off: write `adapters: {{slots: 4}}` into its entry of the registry"
        yield Finding(Reason.ADAPTERS_OFF, against.model, said)
    theirs = plain_name(config.base_model)
    if is_published(config.base_model) and against.certain_names and theirs not in _all_names(against):
        said = (
            f"is {shown(config.base_model)}, and {against.model} is {' or '.join(sorted(against.certain_names))}: "
            "serve it on the model that it was trained on; if that is the same one under another name, write this "
            "one's name there"
        )
        yield Finding(Reason.BASE_DIFFERS, f"{CONFIG}: base_model_name_or_path", said)
    most = HIGHEST_RANK if against.max_rank is None else against.max_rank
    if config.highest_rank > most:
        whose = "no engine takes more than" if against.max_rank is None else f"{against.model} takes at most"
        said = (
            f"is {config.highest_rank}, and {whose} {most}: raise `adapters: {{max_rank}}` in the registry, which "
            "takes memory, or train with a lower rank"
        )
        yield Finding(Reason.RANK_TOO_HIGH, f"{CONFIG}: r", said)


def _all_names(against: Against) -> frozenset[str]:
    return against.certain_names | against.other_names


def with_modules(contents: Contents, config: AdapterConfig, known: Modules) -> Iterator[Finding]:
    """The tensors and the model's layers."""
    for pair in contents.pairs.values():
        names = known.find(pair.module)
        if not names and not (known.open_ended and not known.has_leaf(pair.leaf)):
            said = "is no linear layer of this model: it was trained on another one"
            yield Finding(Reason.TARGET_UNKNOWN, shown(pair.module), said)
        widths = [_turned(known.widths[name], config) for name in names]
        if widths and None not in widths and pair.a is not None and pair.b is not None:
            yield from _width(pair, [width for width in widths if width is not None])
    yield from _skipped(contents, config, known)


def _turned(width: Width | None, config: AdapterConfig) -> Width | None:
    return (width[1], width[0]) if width is not None and config.fan_in_fan_out else width


def _width(pair: Pair, widths: list[Width]) -> Iterator[Finding]:
    if pair.a is None or pair.b is None or len(pair.a.shape) != 2 or len(pair.b.shape) != 2:
        return
    theirs = (pair.a.shape[1], pair.b.shape[0])
    if theirs not in widths:
        wanted = " or ".join(f"{inner} to {outer}" for inner, outer in dict.fromkeys(widths))
        said = (
            f"leads from {theirs[0]} to {theirs[1]}, and the model's own from {wanted}: it was trained on another model"
        )
        yield Finding(Reason.SHAPE_WRONG, shown(pair.module), said)


def _skipped(contents: Contents, config: AdapterConfig, known: Modules) -> Iterator[Finding]:
    """Layers of a kind that is adapted, and that are not: a file that was put together wrongly."""
    if config.some_layers:
        return
    kinds = {pair.kind for pair in contents.pairs.values() if pair.module in known.widths}
    for name in known.widths:
        if name not in contents.pairs and (kind := Pair(name).kind) in kinds and "*" in kind:
            said = (
                "has no LoRA, and others of its kind have one: the file is not whole; if only some layers were "
                "trained, `layers_to_transform` must say so"
            )
            yield Finding(Reason.PAIR_INCOMPLETE, shown(name), said)


def with_engine(contents: Contents, config: AdapterConfig, known: Modules | None, engine: str) -> Iterator[Finding]:
    """What the engine does not do, or would do wrongly."""
    support = SUPPORT[engine]
    for feature in sorted(config.features - support.features):
        advice = _ADVICE.get(feature, "train without it")
        said = f"is set, and {engine} does not apply it, so that the answers would be wrong: {advice}"
        yield Finding(_REASONS.get(feature, Reason.FEATURE_UNSUPPORTED), f"{CONFIG}: {feature}", said, engine)
    if config.shorthand and config.shorthand not in support.shorthands and Feature.TARGET_REGEX not in config.features:
        said = f"is {shown(config.shorthand)}, and {engine} wants the names themselves: write them there as a list"
        yield Finding(Reason.FEATURE_UNSUPPORTED, f"{CONFIG}: target_modules", said, engine)
    yield from _whole(contents, config, known, engine)
    yield from _leaves(contents, config, known, engine)
    yield from _apart(contents, known, engine)


def _whole(contents: Contents, config: AdapterConfig, known: Modules | None, engine: str) -> Iterator[Finding]:
    """Modules that were trained whole, by the configuration or by the tensors."""
    for module in sorted({*config.saved, *contents.saved}):
        leaf = module.rpartition(".")[2]
        embedding = leaf in EMBEDDINGS
        if leaf not in SUPPORT[engine].heads or (known is not None and not known.has_leaf(leaf)):
            reason = Reason.EMBEDDING_RESIZED if embedding else Reason.MODULES_TO_SAVE
            said = f"was trained whole, and {engine} does not put it in place of the model's: train without it"
            yield Finding(reason, shown(module), said, engine)


def _leaves(contents: Contents, config: AdapterConfig, known: Modules | None, engine: str) -> Iterator[Finding]:
    support = SUPPORT[engine]
    for pair in contents.pairs.values():
        if not _serves(support, pair):
            said = f"is a layer that {engine} gives no LoRA to: leave it out of target_modules"
            yield Finding(Reason.TARGET_UNSUPPORTED, shown(pair.module), said, engine)
    leaves = {pair.leaf for pair in contents.pairs.values()}
    for target in config.targets if known is not None and support.strict_targets else ():
        leaf = target.rpartition(".")[2]
        if leaf not in leaves and known is not None and not known.has_leaf(leaf):
            said = f"is not in the model, and {engine} refuses the adapter for it: take it out of the list"
            yield Finding(Reason.TARGET_UNKNOWN, f"{CONFIG}: target_modules: {shown(target)}", said, engine)


def _serves(support: Support, pair: Pair) -> bool:
    if pair.leaf in EMBEDDINGS:
        return support.embeddings
    if ".experts." in f"{pair.module}.":
        return support.experts and not pair.module.endswith("experts.base_layer")
    return not pair.embedding and (support.leaves is None or pair.leaf in support.leaves)


def _apart(contents: Contents, known: Modules | None, engine: str) -> Iterator[Finding]:
    """Layers that the engine packs into one."""
    leaves = {pair.leaf for pair in contents.pairs.values()}
    for some, all_of in SUPPORT[engine].together:
        lacking = {leaf for leaf in all_of - leaves if known is None or known.has_leaf(leaf)}
        if leaves & some and lacking:
            said = f"{engine} packs them into one and needs them all: train {', '.join(sorted(lacking))} too"
            yield Finding(Reason.TARGET_UNSUPPORTED, ", ".join(sorted(leaves & some)), said, engine)
