"""The JSON schema for editors: `python -m registry.schema > registry/schema.json`. A test keeps the two equal."""

from __future__ import annotations

import json
import sys
from typing import Any

from registry.spec import Registry


def schema() -> dict[str, Any]:
    """The schema of a registry file, as a JSON value."""
    generated = _without_null(Registry.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated, "title": "Enginehouse registry"}


def text() -> str:
    """The content of schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _without_null(node: Any) -> Any:
    """Optional in Python is left out in a file: `null` is never written there."""
    if isinstance(node, list):
        return [_without_null(item) for item in node if item != {"type": "null"}]
    if not isinstance(node, dict):
        return node
    kept = {key: _without_null(value) for key, value in node.items() if not (key == "default" and value is None)}
    return kept | kept.pop("anyOf")[0] if len(kept.get("anyOf", ())) == 1 else kept


if __name__ == "__main__":
    sys.stdout.write(text())
