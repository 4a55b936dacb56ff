"""A tool that does what its first argument says: succeed, fail, mute, fill the disk or hang."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path


def say(message: dict[str, object]) -> None:
    """One line for who started this."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    say({"step": "half way", "fraction": 0.5})
    sys.stderr.write("a library says something\r50%\r100%\n")
    match sys.argv[1]:
        case "succeed":
            say({"result": {"files": 3}})
        case "fail":
            raise SystemExit("KeyError: 'no such tensor'")
        case "fill":
            Path("/dev/full").write_text("weights", encoding="utf-8")
        case "hang":
            subprocess.Popen([sys.executable, "-c", f"import signal; signal.pause()  # {sys.argv[2]}"])
            signal.pause()
