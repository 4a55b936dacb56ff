"""Installs the environment `demo` as `enginehouse engines install` would: install_demo.py LOCK CACHE."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from engines.environments.environment import ensure
from engines.progress import silent

if __name__ == "__main__":
    asyncio.run(ensure("demo", Path(sys.argv[2]), silent, catalogue={"demo": Path(sys.argv[1])}))
