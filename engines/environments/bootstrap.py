"""Makes `.venv`, the gateway's light environment, out of the system's Python alone.

The Makefile calls it before anything is installed, so it imports nothing but the standard library, and its syntax
stays readable to a Python that is too old, which must get a sentence and not a SyntaxError. Finished work is
recognised by a stamp; unfinished work is taken up where it stopped.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {"gateway": ("gateway.txt",), "develop": ("gateway.txt", "develop.txt")}
OLDEST = (3, 11)
PLAIN_INTERVAL = 2.0  # seconds between two lines of progress where the output is no terminal
TAIL = 15  # lines of pip's output that a failure shows


class SetupFailed(Exception):
    """Says what is wrong and what to do, in words for the person who typed `make`."""


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 refused with a reason on stderr, 130 interrupted."""
    parser = argparse.ArgumentParser(description="Make the gateway's environment, or finish making it.")
    parser.add_argument("profile", choices=sorted(LOCKS), help="gateway: to serve; develop: with the tests' tools")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    asked = parser.parse_args(arguments)
    try:
        set_up(asked.profile, asked.venv)
    except SetupFailed as failure:
        sys.stderr.write(f"setup: {failure}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nsetup: interrupted; run again to resume\n")
        return 130
    return 0


def set_up(profile: str, venv: Path) -> None:
    """Bring `venv` to what `profile` locks; costs next to nothing where it is there already."""
    if finished(profile, venv):
        return
    if sys.version_info < OLDEST:
        wanted, found = ".".join(map(str, OLDEST)), ".".join(map(str, sys.version_info[:3]))
        raise SetupFailed(f"Python {wanted} or newer is needed, and {sys.executable} is {found}; try make PYTHON=…")
    with alone(ROOT):
        if finished(profile, venv):
            return
        provide_system_packages()
        make_venv(venv)
        install_locked(profile, venv)
        say("installing enginehouse itself, editable")
        pip(venv, ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)], 1)
        for part in LOCKS if profile == "develop" else [profile]:
            stamp(part, venv).write_text(digest(part), encoding="utf-8")
        say(f"{venv.name} is ready")


def finished(profile: str, venv: Path) -> bool:
    """Whether `venv` was completed for `profile` with the locks, the project and the folder as they are now."""
    mark = stamp(profile, venv)
    return (venv / "bin/python").exists() and mark.exists() and mark.read_text(encoding="utf-8") == digest(profile)


def stamp(profile: str, venv: Path) -> Path:
    """Where the digest of the finished set-up of `profile` is kept."""
    return venv / f"setup-{profile}"


def digest(profile: str) -> str:
    """What the set-up depends on, as one hexadecimal number: scripts hold absolute paths, so the folder counts."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[tool.ruff]")[0]
    parts = [str(ROOT), project, *(lock.read_text(encoding="utf-8") for lock in locks(profile))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def locks(profile: str) -> list[Path]:
    """The lock files of `profile`."""
    return [Path(__file__).resolve().parent / "locks" / name for name in LOCKS[profile]]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the clone's set-up: two at once would write over each other. The system frees it with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this clone is running; waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Need:
    """Something that only the operating system can provide."""

    what: str
    package: str
    present: Callable[[], bool]


def needs() -> list[Need]:
    """What this machine must have: the venv module, a compiler, and the one library that vLLM's CPU build links."""
    return [
        Need(
            "Python's venv module",
            f"python3.{sys.version_info.minor}-venv",
            lambda: importlib.util.find_spec("ensurepip") is not None,
        ),
        Need("a C compiler", "gcc", lambda: shutil.which("gcc") is not None or shutil.which("cc") is not None),
        Need("libnuma (vLLM's CPU build links it)", "libnuma1", lambda: loads("libnuma.so.1")),
    ]


def loads(library: str) -> bool:
    """Whether the dynamic linker finds `library`; there is no such question outside Linux."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def provide_system_packages() -> None:
    """Install what is missing with apt-get where that is allowed; elsewhere say which command does it."""
    missing = [need for need in needs() if not need.present()]
    if not missing:
        return
    packages = [need.package for need in missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        things = ", ".join(need.what for need in missing)
        raise SetupFailed(f"missing: {things}. On Debian: sudo apt-get install -y {' '.join(packages)}")
    say(f"apt-get install {' '.join(packages)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-q", "update"], ["apt-get", "-q", "install", "-y", *packages]):
        if subprocess.run(command, env=quiet, check=False).returncode != 0:
            raise SetupFailed(f"{' '.join(command)} failed; its own words are above")
    importlib.invalidate_caches()


def make_venv(venv: Path) -> None:
    """A working virtual environment at `venv`; one that an interruption left without pip is made anew."""
    if works(venv):
        return
    say(f"making {venv.name} with {sys.executable}")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise SetupFailed(f"python -m venv failed:\n{made.stdout}{made.stderr}")


def works(venv: Path) -> bool:
    """Whether `venv` has a Python that runs and a pip that answers."""
    python = venv / "bin/python"
    if not python.exists():
        return False
    return subprocess.run([python, "-I", "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def install_locked(profile: str, venv: Path) -> None:
    """Install exactly the pins of `profile`; what is there already stays, unless an interruption left half of it."""
    pins = [line for lock in locks(profile) for line in lock.read_text(encoding="utf-8").split("\n") if "==" in line]
    say(f"installing {len(pins)} locked packages")
    arguments = ["--no-deps"]
    if damaged(venv):
        say("an earlier set-up was cut off in the middle of a package: installing all of them again")
        arguments.append("--force-reinstall")
    for lock in locks(profile):
        arguments += ["--requirement", str(lock)]
    pip(venv, arguments, len(pins))


def damaged(venv: Path) -> bool:
    """Whether an installed package lacks some of its own files, or the list of them."""
    for site in venv.glob("lib/python3*/site-packages"):
        for package in importlib.metadata.distributions(path=[str(site)]):
            files = package.files
            if files is None or not all(Path(str(file.locate())).exists() for file in files if file.suffix != ".pyc"):
                return True
    return False


def pip(venv: Path, arguments: Sequence[str], total: int) -> None:
    """`pip install` with a line of progress; raises `SetupFailed` with the end of its output."""
    command = [str(venv / "bin/python"), "-I", "-m", "pip", "--disable-pip-version-check", "install", *arguments]
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            follow(process.stdout or (), lines, total)
        except BaseException:
            process.terminate()  # it must be gone before the lock is: the next run writes the same files
            process.wait()
            raise
    if sys.stdout.isatty():
        sys.stdout.write("\r\033[K")
    if process.returncode != 0:
        raise SetupFailed("pip failed; its last lines:\n" + "".join(lines[-TAIL:]) + "Run again to resume.")


def follow(output: Iterable[str], lines: list[str], total: int) -> None:
    """Copy pip's `output` into `lines` to its end, and show how far it is of `total` packages."""
    seen, spoken = 0, time.monotonic()
    for line in output:
        lines.append(line)
        words = line.replace("Requirement already satisfied:", "Collecting").split()
        if words[:1] == ["Collecting"]:
            seen += 1
            spoken = tell_progress(f"{seen}/{total} {words[1]}", spoken)
        elif words[:2] == ["Installing", "collected"]:
            spoken = tell_progress("unpacking", 0.0)


def tell_progress(words: str, spoken: float) -> float:
    """Show `words`: on a terminal in place, elsewhere as a line every few seconds. Returns when it last spoke."""
    if sys.stdout.isatty():
        sys.stdout.write(f"\r\033[Ksetup:   {words}")
        sys.stdout.flush()
        return spoken
    if time.monotonic() - spoken < PLAIN_INTERVAL:
        return spoken
    say(f"  {words}")
    return time.monotonic()


def say(line: str) -> None:
    """One line for the person who waits."""
    sys.stdout.write(f"setup: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
