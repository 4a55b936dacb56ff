"""What clients of the control socket say of adapters, and what the supervisor answers. Pure; part of `registry.orders`.

`Want`, `Missing`, `AdapterUse` and `Tried` come from gateways, which wait for no answer: snapshots say what follows.
The others come from whoever administers; each is answered with any number of `Told`, then one `Adapted`, `Listed` or
`AdapterRefusal`, on the connection that it came by. `who` is the administrator as far as known, for the audit; `model`
is a model's name or alias, `adapter` an adapter's plain name.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from registry.adapters import Canary


class Want(msgspec.Struct, tag="want", tag_field="type", frozen=True):
    """A request waits for this adapter, as engines call it, and no worker that it may use holds it: load it."""

    model: str
    adapter: str
    besides: tuple[str, ...] = ()
    """Workers that have failed the request: not there."""


class Missing(msgspec.Struct, tag="missing", tag_field="type", frozen=True):
    """A worker says that it does not hold what the snapshot says it does."""

    worker: str
    adapter: str


class Demand(msgspec.Struct, frozen=True, omit_defaults=True):
    """One adapter's use as one gateway sees it."""

    active: int = 0
    """Requests on workers."""
    waiting: int = 0
    served: int = 0
    """Requests that were given a worker since the last report."""


class AdapterUse(msgspec.Struct, tag="adapter_use", tag_field="type", frozen=True):
    """How much adapters are used, by model and by the engines' name for them; only those that are or were just used.
    It replaces what this gateway said before.
    """

    models: Mapping[str, Mapping[str, Demand]]


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """One revision's requests that ended on one gateway since its last report."""

    requests: int = 0
    """The clients' own mistakes are not among them."""
    errors: int = 0
    first_tokens: tuple[float, ...] = ()
    """Seconds from receipt; of streams whose first token was seen."""


class Tried(msgspec.Struct, tag="adapter_tried", tag_field="type", frozen=True):
    """How the revisions of a name that stands for several did, by digest. It is added to what was said before."""

    model: str
    adapter: str
    canary: Canary
    """The split that it is about: there may be another one by now."""
    revisions: Mapping[str, Seen]


class AddAdapter(msgspec.Struct, tag="adapter_add", tag_field="type", frozen=True):
    """Fetch it, examine it, store it, load it, prove it; then its revision can be asked for. The first revision of a
    name, and one that is to be promoted, is also what the name stands for. The same content again is no new revision.
    """

    model: str
    adapter: str
    source: str
    """A path on the supervisor's machine, or hf://, modelscope://, s3://, https://…/."""
    who: str
    promote: bool = False
    base: str | None = None
    """Digest that the name has to stand for until then (`""`: nothing), else it is refused; None: whatever it is."""
    consumed: bool = False
    """Whether the path is the gateway's upload, to be removed afterwards, whatever comes of it."""
    outside: bool = False
    """Whether it came over HTTP: then no web server is asked that only this machine can reach."""


class PromoteAdapter(msgspec.Struct, tag="adapter_promote", tag_field="type", frozen=True):
    """The name stands for this revision from now on; it is loaded and proved first where it is not resident."""

    model: str
    adapter: str
    digest: str
    """Or its beginning, at least 8 digits."""
    who: str
    base: str | None = None


class RollbackAdapter(msgspec.Struct, tag="adapter_rollback", tag_field="type", frozen=True):
    """The name stands again for what it stood for before."""

    model: str
    adapter: str
    who: str


class RemoveAdapter(msgspec.Struct, tag="adapter_remove", tag_field="type", frozen=True):
    """The name stands for nothing, and no revision can be asked for; streams under way end on what they have."""

    model: str
    adapter: str
    who: str


class PinAdapter(msgspec.Struct, tag="adapter_pin", tag_field="type", frozen=True):
    """Pinned, a revision stays resident on every worker and is never collected."""

    model: str
    adapter: str
    digest: str
    """Empty: the current one."""
    who: str
    pinned: bool = True


class SplitAdapter(msgspec.Struct, tag="adapter_split", tag_field="type", frozen=True):
    """Several revisions behind the name, until they are promoted or taken back; None ends it."""

    model: str
    adapter: str
    who: str
    canary: Canary | None = None
    reason: str = ""
    """Why it ends, where it ends by its own rule."""


class ListAdapters(msgspec.Struct, tag="adapter_list", tag_field="type", frozen=True):
    """What there is, where it is resident, what was refused, who changed what. Changes nothing."""

    model: str = ""
    """Empty: of all models."""
    adapter: str = ""
    """Of one adapter, its history too."""


AdapterOrder = (
    Want
    | Missing
    | AdapterUse
    | Tried
    | AddAdapter
    | PromoteAdapter
    | RollbackAdapter
    | RemoveAdapter
    | PinAdapter
    | SplitAdapter
    | ListAdapters
)


class Told(msgspec.Struct, tag="told", tag_field="type", frozen=True):
    """How far it is."""

    step: str
    fraction: float | None = None


class RevisionState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One stored revision, for people and programs."""

    model: str
    adapter: str
    digest: str
    source: str = ""
    who: str = ""
    added: float = 0.0
    """Unix time, seconds, as all times here."""
    octets: int = 0
    rank: int = 0
    current: bool = False
    pinned: bool = False
    workers: tuple[str, ...] = ()
    """Ids of those that hold it."""


class MoveState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the audit: who had a name stand for what."""

    at: float
    who: str
    why: str
    model: str
    adapter: str
    was: str | None = None
    now: str | None = None


class RefusalState(msgspec.Struct, frozen=True, omit_defaults=True):
    """An adapter that was refused, and where it lies to be looked at."""

    at: float
    who: str
    model: str
    adapter: str
    source: str
    place: str
    findings: tuple[str, ...]


class SplitState(msgspec.Struct, frozen=True, omit_defaults=True):
    """Several revisions behind one name, by digest; `registry.adapters.Canary` says what the rest means."""

    model: str
    adapter: str
    shares: Mapping[str, int]
    """In parts of their sum."""
    shadow: Mapping[str, int] = {}
    """Of a hundred requests."""
    max_error_rate: float = 1.0
    max_ttft_ratio: float | None = None
    min_requests: int = 50


def split_state(model: str, adapter: str, canary: Canary) -> SplitState:
    """The same as it is shown."""
    shares = {share.digest: share.weight for share in canary.split}
    shadow = {canary.shadow.digest: canary.shadow.weight} if canary.shadow else {}
    rule = canary.max_error_rate, canary.max_ttft_ratio, canary.min_requests
    return SplitState(model, adapter, shares, shadow, *rule)


class Listed(msgspec.Struct, tag="adapters", tag_field="type", frozen=True):
    """The answer to `ListAdapters`; the oldest first."""

    revisions: tuple[RevisionState, ...] = ()
    history: tuple[MoveState, ...] = ()
    refused: tuple[RefusalState, ...] = ()
    splits: tuple[SplitState, ...] = ()


class Adapted(msgspec.Struct, tag="adapted", tag_field="type", frozen=True):
    """It was done; gateways know it, or will before anything that is said to them later."""

    revision: RevisionState | None = None
    """As it is now; None: there is none any more."""
    faults: Mapping[str, str] = {}
    """By worker, why it does not hold it yet, where others do (`partial`); it is tried again."""
    warnings: tuple[str, ...] = ()


class AdapterRefusal(msgspec.Struct, tag="adapter_refused", tag_field="type", frozen=True):
    """Nothing was changed; but where a split could not be ended on a disk that fails, its name has moved."""

    status: int
    """422: the doctor refuses it; 404, 409, 403, 507 (disk full), 502 (no worker took it), 503 (none is ready), 501 (no
    such order), 500 (our own files, a bug).
    """
    code: str
    message: str
    reasons: tuple[str, ...] = ()
    """Reason codes of the doctor."""
    faults: Mapping[str, str] = {}
    """By worker, why it did not take it."""


AdapterAnswer = Told | Listed | Adapted | AdapterRefusal
