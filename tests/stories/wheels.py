"""Tiny real wheels in a folder, for stories that run the real pip without a network."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path


def build(folder: Path, name: str, version: str, files: Mapping[str, bytes]) -> Path:
    """A wheel with these files, as pip installs and downloads it."""
    metadata = f"{name}-{version}.dist-info"
    members = {
        **files,
        f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{metadata}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{member},,\n" for member in [*members, f"{metadata}/RECORD"])
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, content in members.items():
            wheel.writestr(member, content)
        wheel.writestr(f"{metadata}/RECORD", record)
    return path


def offline(folder: Path) -> dict[str, str]:
    """Variables with which pip finds the wheels in `folder` and nothing else anywhere."""
    return {**_plain(), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}


def stuck(port: int) -> dict[str, str]:
    """Variables with which pip waits for an index on this port, for as long as it does not answer."""
    return {**_plain(), "PIP_INDEX_URL": f"http://127.0.0.1:{port}/simple", "PIP_DEFAULT_TIMEOUT": "60"}


def running_with(word: str) -> list[int]:
    """The processes that have `word` in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in command:
                found.append(int(entry.name))
    return found


def _plain() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
    # Neither the machine's nor the user's configuration of pip has a say in a test.
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}"}
