"""Who is measured: one literal table. Called by `arena`, which starts them, and by `gateway_bench`, which lists them.

A command is a template; `arena` fills in: `port` (where to listen), `engine_port` (the mock engine), `spare_port`
(for metrics that cannot be switched off), `folder` (its own, empty), `key` (the bearer key of this run), `peer` (the
environment of a PyPI package), `python` (this interpreter), `nginx`, and for ours `fd` and `control`.
Every peer runs with one worker, its cheapest policy and no logs, as its own documentation shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BASELINE: Final = "nginx"
OURS: Final = "enginehouse"
DIRECT: Final = "direct"


@dataclass(frozen=True, slots=True)
class Contestant:
    """One server under test. Without a command there is nothing between the load and the mock engine."""

    name: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that it needs in its folder: name → template."""
    package: str = ""
    """A peer: the requirement that is installed into an environment of its own."""
    snapshot: bool = False
    """Whether it takes an inherited socket and its registry from a control socket, as our gateway does."""
    slow: bool = False
    """Whether a whole table would take it minutes: it takes part in the main scenarios only."""


_LITELLM: Final = """\
model_list:
  - model_name: mock
    litellm_params:
      model: openai/mock
      api_base: http://127.0.0.1:${engine_port}/v1
      api_key: ${key}
litellm_settings:
  telemetry: false
"""
_ROUTER: Final = (
    *("--host", "127.0.0.1", "--port", "${port}", "--worker-urls", "http://127.0.0.1:${engine_port}"),
    *("--policy", "round_robin", "--prometheus-port", "${spare_port}", "--log-level", "error"),
)

CONTESTANTS: Final = (
    Contestant(DIRECT),
    Contestant(
        BASELINE,
        command=("${nginx}", "-p", "${folder}", "-c", "${folder}/nginx.conf", "-e", "${folder}/nginx-error.log"),
        files={"nginx.conf": (Path(__file__).parent.parent / "nginx.conf").read_text()},
    ),
    Contestant(
        OURS,
        command=("${python}", "-m", "gateway", "--fd", "${fd}", "--control", "${control}"),
        environment={"ENGINEHOUSE_API_KEY": "${key}"},
        snapshot=True,
    ),
    Contestant(
        "vllm-router",
        command=("${peer}/bin/vllm-router", *_ROUTER, "--max-concurrent-requests", "4096"),
        package="vllm-router==0.1.17",
    ),
    Contestant(
        "sglang-router",
        command=("${peer}/bin/sglang-router", "launch", *_ROUTER),
        package="sglang-router==0.3.2",
    ),
    Contestant("smg", command=("${peer}/bin/smg", "launch", *_ROUTER), package="smg==1.13.0"),
    Contestant(
        "litellm",
        command=(
            *("${peer}/bin/litellm", "--host", "127.0.0.1", "--port", "${port}"),
            *("--config", "${folder}/litellm.yaml", "--num_workers", "1"),
        ),
        environment={
            "LITELLM_MASTER_KEY": "${key}",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_LOG": "ERROR",
        },
        files={"litellm.yaml": _LITELLM},
        package="litellm[proxy]==1.106.2",
        slow=True,
    ),
)


def chosen(names: list[str], *, peers: bool) -> tuple[Contestant, ...]:
    """The contestants called `names` (all of the default ones where empty), with the peers if asked for.

    `direct` and nginx always take part: everything else is told relative to them.
    """
    known = {contestant.name for contestant in CONTESTANTS}
    unknown = set(names) - known
    if unknown:
        raise SystemExit(f"no contestant is called {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}")
    always = {DIRECT, BASELINE}
    wanted = always | set(names) if names else known
    return tuple(
        contestant
        for contestant in CONTESTANTS
        if contestant.name in wanted and (peers or contestant.name in names or not contestant.package)
    )
