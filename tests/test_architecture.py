"""What the house looks like: sizes, arrows, names and habits of STYLE.md, kept by a machine.

Every message says what to do. A rule that stands in the way asks for a better structure first, and for a change of
the rule (with its reason in docs/decisions) last.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from typing import Final

import pytest

from tests.sources import PACKAGES, ROOT, Function, Module, arrows, cycles, folded, modules, reached, tracked

FILE_LINES: Final = 300
FUNCTION_LINES: Final = 40
PROGRAMS: Final = (
    "engines/quantize/tools/",
    "engines/weights/tools/",
    "engines/launchers/tools/",
    "engines/parsers/tools/",
)
"""Stand-alone programs that run inside an environment: the only places where heavy packages are imported."""
HEAVY: Final = frozenset(
    {
        "torch",
        "transformers",
        "vllm",
        "sglang",
        "lmdeploy",
        "ray",
        "huggingface_hub",
        "modelscope",
        "botocore",
        "auto_round",
        "gguf",
    }
)
DRAWERS: Final = frozenset(
    {"util", "helper", "common", "manager", "handler", "service", "core", "base", "data", "info"}
)
"""Words that name a drawer instead of a thing; so do their plurals."""
NOT_OURS: Final = frozenset({"data_received"})
"""Names that others call by, as asyncio its protocols."""
THINGS: Final = frozenset({"engines/launchers/cores.py: cores"})
"""Where such a word names the thing itself: a processor's cores."""

OURS: Final = modules(*PACKAGES)
SOURCES: Final = OURS + modules("loadtests", "deploy")
UNIT_TESTS: Final = modules("tests/unit")
TESTS: Final = modules("tests")
GRAPH: Final = arrows({module.name: module for module in OURS})

DIALECTS: Final = frozenset(
    {
        "engines",
        "engines.engine",
        "engines.splice",
        "engines.continuing",
        "engines.flags",
        "engines.keys",
        "engines.vllm",
        "engines.sglang",
        "engines.lmdeploy",
    }
)
"""All of `engines` that a gateway may know, directly or through each other."""
PLANES: Final = {
    "registry": ("registry",),
    "gateway": ("gateway", "registry", "engines"),
    "engines": ("engines", "registry"),
}
"""Package → the packages that it may import; `cli` composes and may import everything."""

LAYERS: Final = (
    ("gateway.__main__",),
    ("gateway.app",),
    ("gateway.errands",),
    ("gateway.server", "gateway.control", "gateway.usage"),
    ("gateway.protocol",),
    ("gateway.turns",),
    ("gateway.cycle",),
    ("gateway.shortcut",),
    ("gateway.api", "gateway.middleware"),
    ("gateway.relay", "gateway.trials", "gateway.shadowing", "gateway.scrape"),
    ("gateway.answers",),
    ("gateway.resuming",),
    ("gateway.blame",),
    ("gateway.call",),
    ("gateway.pool", "gateway.wire"),
    ("gateway.heartbeats",),
    ("gateway.balance", "gateway.upstream", "gateway.client"),
    ("gateway.telemetry", "gateway.patience", "gateway.passages", "gateway.explaining"),
    ("gateway.resume",),
    ("gateway.by_adapter",),
    ("gateway.exchange",),
    ("gateway.reading",),
    ("gateway.operations",),
    (
        "gateway.errors",
        "gateway.settings",
        "gateway.sse",
        "gateway.asgi",
        "gateway.tasks",
        "gateway.lines",
        "gateway.deadline",
        "gateway.histogram",
        "gateway.likeness",
    ),
)
"""A gateway module imports only from layers below its own, or from its own folder."""


def complain(faults: list[str], advice: str) -> None:
    """Fail with every fault on a line of its own, and with what to do about them."""
    if faults:
        pytest.fail(f"{advice}\n  " + "\n  ".join(faults), pytrace=False)


def test_no_file_is_longer_than_a_reader_can_hold():
    """Habit 17: 300 lines."""
    long = [f"{each.place}: {lines} lines" for each in SOURCES if (lines := len(each.text.splitlines())) > FILE_LINES]
    complain(long, f"Split these by what they own (at most {FILE_LINES} lines a file):")


def test_no_function_is_longer_than_a_screen():
    """Habit 17: 40 lines, from `def` to its last line."""
    long = [
        f"{each.place}:{node.lineno}: {node.name} has {length} lines"
        for each in SOURCES
        for node in each.functions
        if (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES
    ]
    complain(long, f"Take a named step out of these (at most {FUNCTION_LINES} lines a function):")


def test_every_module_says_what_it_owns():
    """Habit 14; an empty `__init__` has nothing to say."""
    silent = [each.place for each in SOURCES + TESTS if each.text.strip() and not ast.get_docstring(each.tree)]
    complain(silent, "Begin these with a docstring: what the module owns, who calls it.")


def test_names_say_what_a_thing_is():
    """DESIGN §1: a drawer's name collects what belongs elsewhere."""
    vague = [
        f"{each.place}: {name}"
        for each in SOURCES
        for name in each.names
        if name not in NOT_OURS and f"{each.place}: {name}" not in THINGS
        if DRAWERS & {word.lower().removesuffix("s") for word in re.findall(r"[A-Za-z][a-z0-9]*", name)}
    ]
    complain(vague, f"Name these after what they own, not {', '.join(sorted(DRAWERS))}:")


def test_a_package_imports_only_its_own_plane():
    """DESIGN §2: the registry knows nobody, the engines never know the gateway."""
    wrong = [
        f"{name} imports {other}"
        for name, others in GRAPH.items()
        for other in sorted(others)
        if (plane := name.partition(".")[0]) in PLANES and other.partition(".")[0] not in PLANES[plane]
    ]
    complain(wrong, f"Turn these arrows round, or pass the thing in from the composition root ({PLANES}):")


def test_a_gateway_knows_of_the_engines_only_their_dialects():
    """The data plane stays light: it never reaches launchers, environments, weights, the supervisor or the fake."""
    wrong = [
        f"{name} reaches {other}"
        for name in GRAPH
        if name.partition(".")[0] == "gateway"
        for other in sorted(reached(name, GRAPH))
        if other.startswith("engines") and other not in DIALECTS
    ]
    complain(wrong, f"A gateway may reach only {', '.join(sorted(DIALECTS))}:")


def layer(name: str) -> int | None:
    """The index in `LAYERS` of a gateway module."""
    folders = (number for number, row in enumerate(LAYERS) if any(f"{name}.".startswith(f"{each}.") for each in row))
    return next(folders, None)


def test_the_gateways_arrows_point_down():
    """App → api → relay → pool → {balance, upstream}; errors, settings, sse and asgi are leaves."""
    ours = [name for name in GRAPH if name.startswith("gateway.")]
    homeless = [f"{name} has no layer" for name in ours if layer(name) is None]
    complain(homeless, "Give these modules a row in LAYERS of tests/test_architecture.py:")
    upward = [
        f"{name} imports {other}"
        for name in ours
        for other in sorted(GRAPH[name])
        if other.startswith("gateway.") and not _downward(name, other)
    ]
    complain(upward, "These imports point up or sideways; pass a value or a callable in instead:")


def _downward(name: str, other: str) -> bool:
    below = (layer(name) or 0) < (layer(other) or 0)
    return below or name.split(".")[:2] == other.split(".")[:2]


def test_there_are_no_import_cycles():
    """Two modules that need each other are one module, or miss a third."""
    complain(cycles(GRAPH), "These modules reach themselves; take what they share into a module of its own:")


def test_the_parts_of_the_engines_do_not_need_each_other():
    """The supervisor stands on all the others; a package that needs it back cannot be understood without it."""
    complain(cycles(folded(GRAPH, "engines")), "These reach themselves; take what they share into a module below both:")


def test_there_are_no_globals():
    """Habit 10: objects are built once, in the composition root."""
    found = [
        f"{each.place}:{node.lineno}"
        for each in SOURCES + TESTS
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Global)
    ]
    complain(found, "Give this state an owner and pass it in, instead of `global`:")


def test_modules_are_imported_at_the_top():
    """An import in a function hides an arrow, and its cost comes at a bad time."""
    hidden = [
        f"{each.place}:{node.lineno} in {function.name}"
        for each in SOURCES
        for function in each.functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    complain(hidden, "Move these imports to the top of their file:")


def test_heavy_packages_stay_in_their_environments():
    """torch, transformers, vllm, … are imported only by the programs that run inside an environment."""
    found = [
        f"{each.place}:{line} imports {name}"
        for each in SOURCES
        if not each.place.startswith(PROGRAMS)
        for name, line in each.imports()
        if name.partition(".")[0] in HEAVY
    ]
    complain(found, "Run this in its environment, as a program under engines/*/tools/:")


def test_importing_a_gateway_pulls_in_nothing_heavy():
    """DESIGN §2: it listens in under 2 s and stays under 80 MB."""
    program = "import sys, gateway.app, gateway.__main__; print(*sorted(sys.modules))"
    listed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True)
    assert listed.returncode == 0, listed.stderr
    loaded = {name.partition(".")[0] for name in listed.stdout.split()}
    unwanted = HEAVY | {"numpy", "httpx", "redis", "requests", "openai", "rich", "typer", "yaml", "pytest", "cli"}
    complain(
        sorted(loaded & unwanted), "Find who imports these (python -X importtime) and take it off the gateway's path:"
    )


def test_redis_is_imported_only_where_hosts_share_adapters():
    """Its client takes a tenth of a second, of every command's start."""
    found = [
        f"{each.place}:{line} imports {name}"
        for each in OURS
        for name, line in each.imports()
        if name.startswith("engines.store.redisannals")
        or (name.partition(".")[0] == "redis" and each.place != "engines/store/redisannals.py")
    ]
    complain(found, "Be given `Annals` instead; `engines/supervisor/sharing.py` makes them where a registry asks:")


def test_only_the_composition_root_touches_app_state():
    """What a route needs is given to it where it is built."""
    found = [
        f"{each.place}:{node.lineno}"
        for each in OURS
        if each.place != "gateway/app.py"
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Attribute) and node.attr == "state" and ast.unparse(node.value).endswith("app")
    ]
    complain(found, "Pass this in from gateway/app.py instead of reading app.state:")


def test_nothing_is_patched():
    """A design that can be tested without patching is the design."""
    found = [
        f"{each.place}:{line}: {name}"
        for each in TESTS
        for name, line in [*each.imports(), *each.calls()]
        if re.search(r"(^|\.)mock(\.|$)|monkeypatch\.(setattr|setitem|delattr)|(^|\.)patch(\.|$)", name)
    ]
    complain(found, "Pass in the clock, the transport or the fake instead of patching:")


def test_unit_tests_do_not_sleep():
    """Sleep is not synchronisation; a unit test gets an injected clock. `sleep(0)` is a turn of the loop."""
    found = [
        f"{each.place}:{node.lineno}"
        for each in UNIT_TESTS
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).split(".")[-1] == "sleep"
        and ast.unparse(node) != "asyncio.sleep(0)"
    ]
    complain(found, "Inject the clock, or wait for the condition itself:")


def test_story_tests_wait_in_one_place():
    """`tests/waiting.py` polls a condition against a deadline; a bare sleep is a flaky test."""
    allowed = {"tests/waiting.py"}
    found = [
        f"{each.place}:{line}"
        for each in TESTS
        if each.place not in allowed and not each.place.startswith("tests/unit/")
        for name, line in each.calls()
        if name == "time.sleep"
    ]
    complain(found, "Use tests.waiting.until or eventually:")


def test_unit_tests_mirror_the_sources():
    """tests/unit/gateway/test_sse.py tests gateway/sse.py; more files on one module add a word to its name."""
    folders = {each.path.parent.relative_to(ROOT) for each in SOURCES}
    lost = [
        each.place
        for each in UNIT_TESTS
        if each.path.name.startswith("test_") and each.path.parent.relative_to(ROOT / "tests" / "unit") not in folders
    ]
    complain(lost, "Move these to the folder under tests/unit that has their source's path:")


LEAKS: Final = re.compile(r"/(?:work)/|/tmp/(?:spike)|/opt/(?:wheels)|\b(?:farm)[-](?:studio|bench)")


def test_no_tracked_file_knows_the_machine_it_was_written_on():
    """A path of one machine, or the host of one registry, is of no use on another."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in tracked()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if (match := LEAKS.search(line))
    ]
    complain(found, "Take these out, or derive them at run time:")


INDEX: Final = re.compile(
    r"(?:--(?:extra-)?index-url|--find-links|index-url *=|registry\.npmjs|proxy\.golang)[ =]*(\S*)"
)
PUBLIC_INDEX: Final = "https://download.pytorch.org/whl/cpu"


def test_no_tracked_file_names_a_package_index():
    """Which index is used is the machine's own configuration; PyTorch's public one is the named fallback."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in tracked()
        if path.suffix in {".py", ".txt", ".toml", ".cfg", ".sh", ".yaml", ".yml", ""}
        and path.name != "test_architecture.py"
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if (match := INDEX.search(line)) and "://" in match.group(1) and PUBLIC_INDEX not in match.group(1)
    ]
    complain(found, f"Leave the index to pip's configuration (only {PUBLIC_INDEX} may be named):")


def test_broad_excepts_are_only_in_outermost_loops():
    """`except Exception` hides bugs; each one is named here with its loop."""
    outermost = {
        "gateway/middleware/door.py",
        "engines/fake/app.py",
        "engines/supervisor/succession.py",
        "engines/ledger/desk.py",
        "engines/ledger/following.py",
        "engines/supervisor/reload.py",
    }
    found = [
        f"{each.place}:{node.lineno}"
        for each in SOURCES
        if each.place not in outermost and not each.place.startswith(PROGRAMS)
        for node in ast.walk(each.tree)
        if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) == "Exception")
    ]
    complain(found, "Name the errors that can come, or show that this is an outermost loop and add it here:")


def test_policies_and_engines_are_never_asked_what_they_are():
    """Habit 11: a variant is a row of a table, not an `if`."""
    asked = [
        f"{each.place}:{node.lineno}: {ast.unparse(node)}"
        for each in OURS
        for node in ast.walk(each.tree)
        if isinstance(node, ast.Compare) and _asks_engine(node)
    ]
    complain(asked, "Let the engine (or the policy) say or do it: a method or a field of its Protocol:")


def _asks_engine(node: ast.Compare) -> bool:
    names = {"engine", "engine.name", "model.engine", "spec.engine"}
    literal = any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in node.comparators)
    return ast.unparse(node.left) in names and literal


def test_the_parts_of_this_test_can_fail():
    """The rules above are worth something only if they see a fault: three made-up ones."""
    graph = {"gateway.errors": {"gateway.app"}, "gateway.app": {"gateway.errors"}}
    assert cycles(graph) == ["gateway.app", "gateway.errors"]
    nested = {"engines.a.one": {"engines.b.two"}, "engines.b.two": set(), "engines.b.one": {"engines.a.one"}}
    assert cycles(nested) == []
    assert cycles(folded(nested, "engines")) == ["engines.a", "engines.b"]
    assert not _downward("gateway.errors", "gateway.app")
    assert LEAKS.search("see /" + "work/main")
    function = ast.parse("def long():\n" + "    pass\n" * FUNCTION_LINES).body[0]
    assert isinstance(function, Function)
    assert (function.end_lineno or 0) > FUNCTION_LINES


def test_every_source_was_read():
    """An empty list would make every rule above true."""
    assert {each.name.partition(".")[0] for each in OURS} == set(PACKAGES)
    assert all(isinstance(each, Module) for each in TESTS)
