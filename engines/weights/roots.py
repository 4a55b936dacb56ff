"""Which folders local weights may come from: `$ENGINEHOUSE_WEIGHTS_ROOTS`, for whoever runs registries of others.

Called by `original`. Without the variable every path is taken: the registry is written by whoever runs the house.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engines.weights.failures import SourceRefused

ROOTS: Final = "ENGINEHOUSE_WEIGHTS_ROOTS"


def require_inside(text: str, path: Path, environ: Mapping[str, str]) -> None:
    """Raises `SourceRefused` unless `path`, and all that lies in it, really is below one of the roots."""
    roots = [Path(root).resolve() for root in environ.get(ROOTS, "").split(os.pathsep) if root]
    if not roots:
        return
    for each in [path, *(path.rglob("*") if path.is_dir() else ())]:
        real = Path(os.path.realpath(each))  # which, unlike `Path.resolve`, gets over links in a circle
        if not any(real.is_relative_to(root) for root in roots):
            shown = path if each == path else each.relative_to(path)
            raise SourceRefused(
                f"{text}: {shown} lies at {real}, outside of ${ROOTS} ({os.pathsep.join(map(str, roots))}). Put the "
                "weights below one of these folders, or let whoever runs this house add one"
            )
