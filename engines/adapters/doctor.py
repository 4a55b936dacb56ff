"""Whether an adapter can be served: every reason against it at once. Reads a configuration, a header, and the bytes of
the tensors for what is no number; imports nothing heavy and runs nothing of the adapter's.

Called by `enginehouse adapters doctor`; the store asks it before it takes anything in, and so will every load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from engines.adapters import config as peft
from engines.adapters import finite, fitting
from engines.adapters import tensors as matrices
from engines.adapters.against import Against, plain_name
from engines.adapters.config import AdapterConfig
from engines.adapters.findings import Finding, Reason
from engines.adapters.folder import CONFIG, WEIGHTS, NotThere, opened, unwanted
from engines.adapters.limits import Limits
from engines.adapters.tensors import Contents, shown
from engines.safetensors import HeaderRefused, Tensor, read_open


@dataclass(frozen=True, slots=True)
class Facts:
    """An adapter in numbers, as far as it could be read."""

    base_model: str = ""
    rank: int = 0
    alpha: float = 0.0
    targets: tuple[str, ...] = ()
    """Last parts of the names of the modules that it adapts."""
    modules: int = 0
    dtypes: tuple[str, ...] = ()
    octets: int = 0
    """Of its tensors."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that there is to say of an adapter."""

    against: Against
    findings: tuple[Finding, ...]
    facts: Facts = Facts()
    notes: tuple[str, ...] = ()
    """What was not held against it, and why."""

    @property
    def engines(self) -> tuple[str, ...]:
        """Those of `against` that would serve it."""
        if any(not finding.engine for finding in self.findings):
            return ()
        refusing = {finding.engine for finding in self.findings}
        return tuple(engine for engine in self.against.engines if engine not in refusing)

    @property
    def healthy(self) -> bool:
        """Whether it can be served."""
        return bool(self.engines)


LIMITS: Final = Limits()


def examine(folder: Path, against: Against = Against(), limits: Limits = LIMITS) -> Diagnosis:  # noqa: B008 (frozen)
    """Everything that keeps the adapter in `folder` from being served by `against`. Raises `OSError`."""
    findings = list(unwanted(folder))
    config = _config(folder, limits, findings)
    contents, header = _contents(folder, limits, findings)
    if contents is not None:
        findings += matrices.faults(contents, config)
    if config is not None:
        findings += fitting.with_model(config, against)
    if contents is not None and config is not None:
        if against.modules is not None:
            findings += fitting.with_modules(contents, config, against.modules)
        for engine in against.engines:
            findings += fitting.with_engine(contents, config, against.modules, engine)
    return Diagnosis(against, tuple(dict.fromkeys(findings)), _facts(config, contents, header), _notes(config, against))


def _config(folder: Path, limits: Limits, findings: list[Finding]) -> AdapterConfig | None:
    try:
        with opened(folder, CONFIG, Reason.CONFIG_MISSING) as (file, size):
            if size > limits.config:
                findings.append(_too_large(CONFIG, size, limits.config))
                return None
            config, found = peft.read(file.read(limits.config))
    except NotThere as missing:
        findings.append(missing.finding)
        return None
    findings += found
    return config


def _contents(folder: Path, limits: Limits, findings: list[Finding]) -> tuple[Contents | None, Mapping[str, Tensor]]:
    try:
        with opened(folder, WEIGHTS, Reason.WEIGHTS_MISSING) as (file, size):
            if size > limits.weights:
                findings.append(_too_large(WEIGHTS, size, limits.weights))
                return None, {}
            tensors, start = read_open(file, size, limits.header)
            if len(tensors) > limits.tensors:
                said = f"lists {len(tensors)} tensors, and {limits.tensors} are taken: this is no adapter"
                findings.append(Finding(Reason.TOO_LARGE, WEIGHTS, said))
                return None, {}
            findings += _numbers(file, start, tensors)
    except NotThere as missing:
        # A pickle in its place has been named already.
        if not any(finding.reason is Reason.PICKLED for finding in findings):
            findings.append(missing.finding)
        return None, {}
    except HeaderRefused as fault:
        said = f"{shown(str(fault))}: the file is damaged or not whole; copy or save it again"
        findings.append(Finding(Reason.WEIGHTS_DAMAGED, WEIGHTS, said))
        return None, {}
    return matrices.sort(tensors), tensors


def _numbers(file: BinaryIO, start: int, tensors: Mapping[str, Tensor]) -> Iterator[Finding]:
    for name in finite.infinite(file, start, tensors):
        said = "holds a NaN or an infinity, which would spoil every answer: the training has diverged; train it again"
        yield Finding(Reason.NOT_FINITE, shown(name), said)


def _too_large(name: str, size: int, most: int) -> Finding:
    said = f"has {size} bytes, and {most} are taken: this is no adapter, or it was merged into its model"
    return Finding(Reason.TOO_LARGE, name, said)


def _facts(config: AdapterConfig | None, contents: Contents | None, tensors: Mapping[str, Tensor]) -> Facts:
    pairs = contents.pairs if contents else {}
    return Facts(
        base_model=shown(config.base_model) if config else "",
        rank=config.highest_rank if config else 0,
        alpha=config.alpha if config else 0.0,
        targets=tuple(sorted({shown(pair.leaf) for pair in pairs.values()})),
        modules=len(pairs),
        dtypes=tuple(sorted({shown(tensor.dtype) for tensor in tensors.values()})),
        octets=sum(tensor.octets for tensor in tensors.values()),
    )


def _notes(config: AdapterConfig | None, against: Against) -> tuple[str, ...]:
    notes = []
    if not against.model:
        notes.append("not held against a model: name one with --base")
    elif against.modules is None:
        notes.append(f"not held against the layers of {against.model}: {against.why_unknown}")
    if (
        against.model
        and config is not None
        and plain_name(config.base_model) not in against.certain_names | against.other_names
    ):
        notes.append(f"that it was trained on {against.model} cannot be told from its name, only from its shapes")
    return tuple(notes)
