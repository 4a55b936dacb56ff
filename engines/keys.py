"""How the key of a worker reaches an engine that takes it from its command line alone. Pure. Called by dialects."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engines.engine import LaunchPlan

_PROGRAM: Final = Path(__file__).parent / "launchers" / "tools" / "keyed.py"
_VARIABLE: Final = "ENGINEHOUSE_WORKER_KEY"


def keyed(plan: LaunchPlan, module: str, flag: str) -> tuple[str, ...]:
    """What starts `module` with the plan's key, whose flag is `flag`; arguments follow. Needs `variables` too."""
    return (str(plan.python), str(_PROGRAM), module, flag)


def variables(plan: LaunchPlan) -> dict[str, str]:
    """The key, where only the same user can read it."""
    return {_VARIABLE: plan.key} if plan.key else {}
