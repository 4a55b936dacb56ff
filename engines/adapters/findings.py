"""Why an adapter is refused: stable codes for programs, sentences for people. Made by the rest of the package.

docs/adapters.md lists the codes; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Codes that never change their meaning: scripts and clients decide by them."""

    CONFIG_MISSING = "config_missing"
    CONFIG_DAMAGED = "config_damaged"
    CONFIG_INCOMPLETE = "config_incomplete"
    PEFT_TYPE = "peft_type"
    WEIGHTS_MISSING = "weights_missing"
    WEIGHTS_DAMAGED = "weights_damaged"
    PICKLED = "pickled"
    NOT_A_FILE = "not_a_file"
    TOO_LARGE = "too_large"
    BASE_DIFFERS = "base_differs"
    ADAPTERS_OFF = "adapters_off"
    RANK_TOO_HIGH = "rank_too_high"
    TARGET_UNKNOWN = "target_unknown"
    TARGET_UNSUPPORTED = "target_unsupported"
    TENSOR_UNEXPECTED = "tensor_unexpected"
    PAIR_INCOMPLETE = "pair_incomplete"
    SHAPE_WRONG = "shape_wrong"
    DTYPE_UNSUPPORTED = "dtype_unsupported"
    NOT_FINITE = "not_finite"
    DORA = "dora"
    BIAS = "bias"
    MODULES_TO_SAVE = "modules_to_save"
    EMBEDDING_RESIZED = "embedding_resized"
    FEATURE_UNSUPPORTED = "feature_unsupported"
    ARCHIVE_DAMAGED = "archive_damaged"
    ARCHIVE_UNSAFE = "archive_unsafe"
    ARCHIVE_TOO_LARGE = "archive_too_large"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    reason: Reason
    where: str
    """The file, the field, the tensor or the module; what a person has to look at."""
    message: str
    """What is wrong with it, and what to do."""
    engine: str = ""
    """Whose limit it is; empty: no engine could serve it rightly."""

    def __str__(self) -> str:
        whose = f" ({self.engine})" if self.engine else ""
        return f"{self.reason}{whose}: {self.where}: {self.message}"


def shortened(findings: Iterable[Finding], most: int) -> tuple[Finding, ...]:
    """At most `most` of a kind, and a last one that says how many more there are: 30 layers have the same fault."""
    kinds: dict[tuple[Reason, str], list[Finding]] = {}
    for finding in findings:
        kinds.setdefault((finding.reason, finding.engine), []).append(finding)
    kept: list[Finding] = []
    for (reason, engine), alike in kinds.items():
        kept += alike[:most]
        if len(alike) > most:
            kept.append(Finding(reason, f"{len(alike) - most} more places", "the same", engine))
    return tuple(kept)
