"""Environments installed by the real pip from tiny wheels: once, whole, taken up where they were cut off."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.environments.environment import Condition, EnvironmentFailed, ensure, inspect, place
from engines.progress import silent
from tests.stories.wheels import build, offline, running_with, stuck
from tests.waiting import eventually

PROGRAM = Path(__file__).parent / "programs/install_demo.py"


class Demo:
    """An environment of two packages, one of them a local build."""

    def __init__(self, folder):
        self.cache = folder / "cache"
        self.wheels = folder / "wheels"
        self.lock = folder / "demo.txt"
        self.lock.write_text("plain_thing==1.0\ntorchlike==2.0+cpu\n")
        self.catalogue = {"demo": self.lock}
        self.reports = []
        build(self.wheels, "plain_thing", "1.0", {"plain_thing/__init__.py": b"", "plain_thing/inside.py": b""})
        build(self.wheels, "torchlike", "2.0+cpu", {"torchlike/__init__.py": b""})

    @property
    def root(self):
        return place("demo", self.cache, self.catalogue).root

    @property
    def site(self):
        return next(self.root.glob("lib/python3*/site-packages"))

    def condition(self):
        return inspect("demo", self.cache, self.catalogue).condition

    async def ensure(self, environ=None):
        environ = offline(self.wheels) if environ is None else environ
        return await ensure("demo", self.cache, self.reports.append, catalogue=self.catalogue, environ=environ)

    def steps(self):
        return [report.step for report in self.reports]


@pytest.fixture
def demo(tmp_path):
    return Demo(tmp_path)


@asynccontextmanager
async def silent_index():
    """An index that takes connections and never answers."""

    async def hold(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_an_environment_is_installed_once(demo):
    """And says where the local build came from; the second time nothing is started."""
    made = await demo.ensure()
    assert demo.condition() is Condition.READY
    assert "torchlike 2.0+cpu: found by pip as configured here" in demo.steps()
    demo.reports.clear()
    assert await demo.ensure(environ={}) == made
    assert demo.steps() == ["ready"]


async def test_an_environment_has_its_own_packages_and_no_pip(demo):
    """It holds what its lock says."""
    made = await demo.ensure()
    for statement, status in (("import plain_thing.inside, torchlike", 0), ("import pip", 1)):
        process = await asyncio.create_subprocess_exec(
            made.python, "-I", "-c", statement, stderr=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == status


async def test_a_broken_environment_is_repaired(demo):
    """Only what is damaged is installed again."""
    await demo.ensure()
    (demo.site / "plain_thing/inside.py").unlink()
    assert demo.condition() is Condition.BROKEN
    demo.reports.clear()
    await demo.ensure()
    assert (demo.site / "plain_thing/inside.py").exists()
    assert not any("torchlike" in step for step in demo.steps())


async def test_a_package_that_was_cut_off_is_installed_again(demo):
    """Pip itself would refuse: it has no list of the files to replace."""
    await demo.ensure()
    (demo.root / ".complete").unlink()
    next(demo.site.glob("plain_thing*.dist-info/RECORD")).unlink()
    assert demo.condition() is Condition.PARTIAL
    await demo.ensure()
    assert demo.condition() is Condition.READY


async def test_two_at_once_install_it_once(demo):
    """The second waits and says so."""
    await asyncio.gather(demo.ensure(), demo.ensure())
    assert "another process is installing it: waiting" in demo.steps()
    assert demo.steps().count("making the virtual environment") == 1


async def test_a_failure_shows_pips_own_words_and_what_to_try(demo):
    """And the fallback for local builds was said."""
    next(demo.wheels.glob("torchlike*")).unlink()
    with pytest.raises(EnvironmentFailed, match=r"(?s)No matching distribution found for torchlike.*pip config list"):
        await demo.ensure()
    assert any("from PyTorch's CPU index" in step for step in demo.steps())
    assert demo.condition() is Condition.PARTIAL


async def test_a_cancelled_installation_leaves_no_pip_and_can_be_finished(demo):
    """Ctrl-C during set-up."""
    async with silent_index() as port:
        installing = asyncio.get_running_loop().create_task(demo.ensure(environ=stuck(port)))
        await eventually(lambda: running_with(f"{demo.root}/bin/python"), what="pip to run")
        installing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await installing
    assert running_with(str(demo.root)) == []
    assert not demo.root.with_name(f"{demo.root.name}.tmp").exists()
    await demo.ensure()
    assert demo.condition() is Condition.READY


async def test_a_killed_installer_takes_its_pip_with_it(demo):
    """Kill -9 of who installs: nothing goes on writing into the environment behind the next one's back."""
    async with silent_index() as port:
        program = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, demo.lock, demo.cache, env={**stuck(port), "PYTHONPATH": str(Path.cwd())}
        )
        await eventually(lambda: running_with(f"--python\0{demo.root}"), what="pip to run")
        program.kill()
        await program.wait()
        await eventually(lambda: not running_with(str(demo.root)), what="pip to be gone")
    await ensure("demo", demo.cache, silent, catalogue=demo.catalogue, environ=offline(demo.wheels))
