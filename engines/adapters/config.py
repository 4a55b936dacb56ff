"""`adapter_config.json` as PEFT writes it → what matters to an engine, or all that is wrong with it. Pure.

Called by `doctor`. Fields: peft/tuners/lora/config.py (`LoraConfig`), peft/config.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import msgspec

from engines.adapters.findings import Finding, Reason
from engines.adapters.folder import CONFIG

Fields = Mapping[str, object]


class Feature(StrEnum):
    """What an adapter may use beyond two small matrices a layer; an engine that ignores one answers wrongly."""

    DORA = "use_dora"
    BIAS = "bias"
    LORA_BIAS = "lora_bias"
    MODULES_TO_SAVE = "modules_to_save"
    RSLORA = "use_rslora"
    RANK_PATTERN = "rank_pattern"
    ALPHA_PATTERN = "alpha_pattern"
    INIT = "init_lora_weights"
    TARGET_REGEX = "target_modules"
    TARGET_PARAMETERS = "target_parameters"
    TRAINED_TOKENS = "trainable_token_indices"
    ACTIVATED = "alora_invocation_tokens"
    REPLICATED_LAYERS = "layer_replication"
    BLOCK_DIAGONAL = "use_bdlora"
    QALORA = "use_qalora"
    ARROW = "arrow_config"
    MEGATRON = "megatron_config"
    OWN_CODE = "auto_map"


_SWITCHES: Final = (
    Feature.DORA,
    Feature.LORA_BIAS,
    Feature.MODULES_TO_SAVE,
    Feature.RSLORA,
    Feature.RANK_PATTERN,
    Feature.ALPHA_PATTERN,
    Feature.TARGET_PARAMETERS,
    Feature.TRAINED_TOKENS,
    Feature.ACTIVATED,
    Feature.REPLICATED_LAYERS,
    Feature.BLOCK_DIAGONAL,
    Feature.QALORA,
    Feature.ARROW,
    Feature.MEGATRON,
    Feature.OWN_CODE,
)
"""On where the field is there and is not empty or false."""
_INITS: Final = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
"""Ways to begin that leave the model below as it was; others (pissa, olora, corda, loftq) change it."""
_SHORTHANDS: Final = frozenset({"all-linear", "all"})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.]+")
_REQUIRED: Final = ("peft_type", "r", "lora_alpha", "target_modules")
_MATCHING: Final = "save it again with PEFT"


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """Invariant: `rank` is above zero, and so are all ranks of `ranks`."""

    rank: int
    alpha: float
    base_model: str = ""
    targets: tuple[str, ...] = ()
    """Names of modules, or ends of them; empty: a shorthand or a pattern, so that the tensors alone say it."""
    shorthand: str = ""
    ranks: Mapping[str, int] = field(default_factory=dict)
    """By module's name, or its end: a rank of its own."""
    fan_in_fan_out: bool = False
    """The layers below keep their weights as (in, out)."""
    some_layers: bool = False
    """Only some of the layers were trained, as `layers_to_transform` or `exclude_modules` says."""
    saved: tuple[str, ...] = ()
    """Modules that were trained whole."""
    features: frozenset[Feature] = frozenset()

    def rank_of(self, module: str) -> int:
        """Of one module, by the first pattern that names it, as PEFT and vLLM do it."""
        return next((rank for key, rank in self.ranks.items() if _names(key, module)), self.rank)

    @property
    def highest_rank(self) -> int:
        """Of all modules."""
        return max(self.rank, *self.ranks.values(), 0)


def read(content: bytes) -> tuple[AdapterConfig | None, tuple[Finding, ...]]:
    """What `content` says, and everything that is wrong with it; no config where it cannot be told what was meant."""
    try:
        fields = msgspec.json.decode(content, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        return None, (Finding(Reason.CONFIG_DAMAGED, CONFIG, f"is not a JSON object ({fault}): {_MATCHING}"),)
    found = (*_missing(fields), *_peft(fields), *_wrong(fields))
    return (None if found else _understood(fields)), found


def _missing(fields: Fields) -> Iterator[Finding]:
    for name in _REQUIRED:
        if fields.get(name) in (None, "", [], {}) and not (name == "target_modules" and _named(fields)):
            said = f"has no {name}, without which it cannot be told what the adapter is: {_MATCHING}"
            yield Finding(Reason.CONFIG_INCOMPLETE, CONFIG, said)


def _named(fields: Fields) -> bool:
    """PEFT allows parameters to be named in place of modules."""
    return bool(fields.get("target_parameters"))


def _peft(fields: Fields) -> Iterator[Finding]:
    kind = fields.get("peft_type")
    if kind and str(kind).upper() != "LORA":
        said = f"is {_shown(kind)}; engines serve only LORA: merge the adapter into its model, or train a LoRA"
        yield Finding(Reason.PEFT_TYPE, f"{CONFIG}: peft_type", said)


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "base_model_name_or_path": (str,),
    "target_modules": (str, list),
    "modules_to_save": (list,),
    "rank_pattern": (dict,),
    "alpha_pattern": (dict,),
    "lora_alpha": (int, float),
    "r": (int,),
    "bias": (str,),
    "use_dora": (bool,),
    "use_rslora": (bool,),
    "lora_bias": (bool,),
    "fan_in_fan_out": (bool,),
    "init_lora_weights": (bool, str),
}
"""null is as good as absent."""
_POSITIVE: Final = frozenset({"r", "lora_alpha"})


def _wrong(fields: Fields) -> Iterator[Finding]:
    """Values of another type, or without sense."""
    for name, types in _TYPES.items():
        value = fields.get(name)
        if value is None:
            continue
        wrong = not isinstance(value, types) or (isinstance(value, bool) and bool not in types)
        if not wrong and name in _POSITIVE and isinstance(value, int | float):
            wrong = value <= 0
        if not wrong and isinstance(value, list):
            wrong = not all(isinstance(each, str) and each for each in value)
        if wrong:
            said = f"is {_shown(value)}, which PEFT never writes: {_MATCHING}"
            yield Finding(Reason.CONFIG_DAMAGED, f"{CONFIG}: {name}", said)
    yield from _wrong_patterns(fields)


def _wrong_patterns(fields: Fields) -> Iterator[Finding]:
    """Keys are regular expressions to PEFT and vLLM: one made for it keeps an engine busy for ever."""
    for name in (Feature.RANK_PATTERN, Feature.ALPHA_PATTERN):
        for key, value in _mapping(fields.get(name)).items():
            where = f"{CONFIG}: {name}: {_shown(key)}"
            if not _PLAIN.fullmatch(_unanchored(key)):
                said = "is a regular expression, which is not run: name the modules themselves"
                yield Finding(Reason.FEATURE_UNSUPPORTED, where, said)
            whole = name is Feature.RANK_PATTERN
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or value <= 0:
                said = f"is {_shown(value)}, not a number above zero: {_MATCHING}"
                yield Finding(Reason.CONFIG_DAMAGED, where, said)


def _understood(fields: Fields) -> AdapterConfig:
    """`fields` are as PEFT writes them."""
    targets = fields.get("target_modules") or []
    rank, alpha = fields["r"], fields["lora_alpha"]
    return AdapterConfig(
        rank=rank if isinstance(rank, int) else 0,
        alpha=float(alpha) if isinstance(alpha, int | float) else 0.0,
        base_model=str(fields.get("base_model_name_or_path") or ""),
        targets=tuple(map(str, targets)) if isinstance(targets, list) else (),
        shorthand=targets if isinstance(targets, str) else "",
        ranks={key: value for key, value in _mapping(fields.get("rank_pattern")).items() if isinstance(value, int)},
        fan_in_fan_out=fields.get("fan_in_fan_out") is True,
        some_layers=any(fields.get(name) not in (None, [], "") for name in ("layers_to_transform", "exclude_modules")),
        saved=tuple(map(str, _listed(fields.get("modules_to_save")))),
        features=frozenset(_used(fields)),
    )


def _used(fields: Fields) -> Iterator[Feature]:
    yield from (feature for feature in _SWITCHES if fields.get(feature))
    if fields.get("bias") not in (None, "none"):
        yield Feature.BIAS
    init = fields.get("init_lora_weights")
    if isinstance(init, str) and init.lower() not in _INITS:
        yield Feature.INIT
    targets = fields.get("target_modules")
    if isinstance(targets, str) and targets not in _SHORTHANDS:
        yield Feature.TARGET_REGEX


def _names(key: str, module: str) -> bool:
    """Whether a pattern of `rank_pattern` means `module`: its whole name, or its end after a dot."""
    plain = _unanchored(key)
    return module == plain or (not key.startswith("^") and module.endswith(f".{plain}"))


def _unanchored(key: str) -> str:
    return key.removeprefix("^").removesuffix("$").replace(r"\.", ".")


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _shown(value: object) -> str:
    """Short, and without anything that a terminal would act on."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
