"""The `enginehouse` command as a person runs it: real processes, what they print, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Final

import httpx
import pytest

from registry.snapshot import ModelView, Snapshot, decode
from tests.processes import READY, ROOT, Supervisor, fake_worker, offspring, running, short_folder
from tests.stories.house import alive
from tests.waiting import until

COMMAND: Final = (sys.executable, "-m", "cli")
FAULTY: Final = """\
models:
  a: {source: ., engine: vlm}
  b: {source: ., engine: vllm, replcas: 2}
  c: {engine: vllm}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as found:
        yield found


def ended(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "120"}
    return subprocess.run([*COMMAND, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


class Running:
    """A command that runs on: its process, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process: Final = process
        self.text = ""
        self._reader: Final = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.text += line.decode()

    def says(self, words: str, within: float = READY) -> None:
        until(lambda: words in self.text, within=within, what=f"{words!r} from the command")

    def ctrl_c(self) -> int:
        """What a terminal does: SIGINT to the whole process group. Returns the exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(READY)
        self.close()
        return code

    def close(self) -> None:
        """Read to the end, which comes when nobody holds the pipe any more."""
        self._reader.join(READY)
        if self.process.stdout:
            self.process.stdout.close()


@contextmanager
def started(*words: str) -> Iterator[Running]:
    with running(
        subprocess.Popen(
            [*COMMAND, *words],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - as a terminal has it
        )
    ) as process:
        command = Running(process)
        try:
            yield command
        finally:
            process.terminate()
            command.close()


def external(folder: Path, url: str) -> str:
    """A registry of one model on a worker that runs already."""
    file = folder / "registry.yaml"
    file.write_text(f"models:\n  small: {{engine: vllm, launcher: external, urls: ['{url}']}}\n")
    return str(file)


def test_check_shows_every_fault_with_its_line(folder):
    """One edit, one look: nobody has to correct a file fault by fault."""
    file = folder / "faulty.yaml"
    file.write_text(FAULTY)
    told = ended("check", str(file))
    assert told.returncode == 1
    assert [line.split(": ")[0] for line in told.stdout.splitlines()[:3]] == [f"{file}:{line}" for line in (2, 3, 4)]
    assert "replicas" in told.stdout
    assert told.stderr == ""


def test_serve_refuses_a_faulty_file_before_it_starts_anything(folder):
    """Exit code 2, every fault, no traceback, no state folder."""
    file = folder / "faulty.yaml"
    file.write_text(FAULTY)
    told = ended("serve", "--registry", str(file), "--state", str(folder / "state"))
    assert told.returncode == 2
    assert f"{file}:4: " in told.stderr
    assert "Traceback" not in told.stderr
    assert not (folder / "state").exists()


def test_a_taken_port_is_one_line(folder):
    """It says what to do."""
    with fake_worker() as worker:
        told = ended(
            "serve",
            *("--registry", external(folder, worker.url)),
            *("--state", str(folder / "s"), "--port", str(worker.port)),
        )
    assert (told.returncode, told.stderr.count("\n")) == (2, 1)
    assert f"port {worker.port} is taken" in told.stderr


def test_status_without_a_supervisor_says_so(folder):
    """Exit code 1, for scripts."""
    told = ended("status", "--state", str(folder))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("enginehouse: not running")


def test_status_follows_the_snapshots(folder):
    """As JSON, one line each, until the supervisor ends."""
    supervisor = Supervisor(folder / "control.sock")
    supervisor.publish(ModelView("m", "vllm", "m"))
    with started("status", "--json", "--state", str(folder)) as command:
        command.says('"revision":1')
        supervisor.publish()
        command.says('"revision":2')
        supervisor.close()
        assert command.process.wait(READY) == 0
    assert decode(command.text.splitlines()[1].encode()) == Snapshot(2)


def test_serve_greets_when_a_model_is_ready_and_ends_on_ctrl_c(folder):
    """The greeting can be pasted; the end is orderly: exit code 0."""
    with fake_worker(key="") as worker:
        registry, state = external(folder, worker.url), str(folder / "state")
        with started("serve", "--registry", registry, "--port", "0", "--state", state) as command:
            command.says("ready: small at http://127.0.0.1:")
            assert "small" in ended("status", "--state", state).stdout
            left = offspring(command.process.pid)
            assert command.ctrl_c() == 0
    assert "nothing is left running" in command.text
    assert not [pid for pid in left if alive(pid)]


def test_explain_finds_the_house_and_the_request_whichever_process_had_it(folder):
    """By the state folder; with several gateways each knows its own requests, and one more connection may reach it."""
    with fake_worker(key="") as worker:
        state = str(folder / "state")
        registry = external(folder, worker.url)
        serving = ("serve", "--registry", registry, "--port", "0", "--state", state, "--processes", "2")
        with started(*serving) as command:
            command.says("ready: small at http://127.0.0.1:")
            url = (folder / "state/url").read_text()
            body = {"model": "small", "prompt": "x"}
            for _ in range(4):
                answer = httpx.post(f"{url}/v1/completions", json=body, trust_env=False, timeout=READY)
                name = answer.headers["x-request-id"]
                told = ended("explain", name, "--state", state)
                assert (f"request  {name}" in told.stdout) if told.returncode == 0 else (f" id={name} " in told.stderr)
            assert ended("explain", "nobody", "--state", state).returncode == 1
    assert not (folder / "state/url").exists()


def test_ctrl_c_before_a_model_is_ready_is_an_interruption(folder):
    """Exit code 130 and what to do next."""
    registry = external(folder, "http://127.0.0.1:9")
    with started("serve", "--registry", registry, "--port", "0", "--state", str(folder / "state")) as command:
        command.says("listening on")
        assert command.ctrl_c() == 130
    assert "interrupted; run again to resume" in command.text
    assert "Traceback" not in command.text


@pytest.mark.parametrize(
    "verb", [["serve", "--port", "0", "--drain", "1"], ["pull"], ["engines", "install", "quantizer"]]
)
def test_ctrl_c_during_set_up_leaves_nothing_running(verb, folder):
    """With an empty cache, in the middle of an installation."""
    places = ["--cache", str(folder / "cache")]
    places += ["--state", str(folder / "state")] if verb[0] == "serve" else []
    with started(*verb, *places) as command:
        command.says("environment quantizer: ")
        left = offspring(command.process.pid)
        assert command.ctrl_c() == 130
        until(lambda: not [pid for pid in left if alive(pid)], what=f"the end of {left}")
    assert "run again to resume" in command.text
    assert "Traceback" not in command.text
