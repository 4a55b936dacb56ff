"""The files of deploy/, read by the programs that they are for, or by those programs' own linters."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from deploy.check.containerfile import Copy, recipe, targets
from engines.environments.locks import pins

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/enginehouse.json").read_text())
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def accepted(*words: str | Path) -> None:
    """Run a program, which must find nothing; it is skipped where the machine does not have it."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_hadolint_finds_nothing_in_the_container_file():
    """The linter itself, at its strictest; what it may not say is named, with the reason, at its line."""
    accepted(Path(sys.executable).parent / "hadolint", "--failure-threshold", "style", DOCKERFILE)


def test_the_compose_file_is_one_by_the_specification():
    """By the specification's own schema, which check-jsonschema carries."""
    found = importlib.util.find_spec("check_jsonschema")
    schema = Path(found.origin).parent / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_every_container_is_bounded():
    """FAULTS, security rule 15: a read-only root, no capability, no new privileges; open to this machine alone."""
    for name, service in COMPOSE["services"].items():
        bounds = (service["read_only"], service["cap_drop"], service["security_opt"])
        assert bounds == (True, ["ALL"], ["no-new-privileges:true"]), name
        assert all("127.0.0.1:" in port for port in service["ports"]), name
        assert ":" in service["image"], name
        assert not service["image"].endswith(":latest"), name


def test_no_image_runs_as_root():
    """By number, so that Kubernetes can see it; and each has a health check."""
    for target in set(targets(DOCKERFILE.read_text())) - {"engine"}:
        image = recipe(DOCKERFILE.read_text(), target).image
        assert (image.user, image.health[0]) == ("10001:10001", "python3"), target


def test_what_the_images_copy_is_what_they_may_see():
    """An allowlist: no key, no state, no cache can get into an image."""
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = {
        source for each in recipe(DOCKERFILE.read_text(), "gateway").actions if isinstance(each, Copy)
        for source in each.sources
    }  # fmt: skip
    assert lines[1] == "*"
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied


def test_the_image_installs_what_is_locked_by_its_hash():
    """The hashes are of the lock's pins; the command that makes them anew stands at the head of the file."""
    hashed = re.findall(r"^\S+==\S+(?= \\$)", (DEPLOY / "gateway-hashes.txt").read_text(), re.MULTILINE)
    lock = (ROOT / "engines/environments/locks/gateway.txt").read_text()
    assert set(pins("\n".join(hashed))) == set(pins(lock))


def test_prometheus_accepts_its_files():
    """Its own checker, on the configuration, and on the alerts with the series that make each of them fire."""
    accepted("promtool", "check", "config", "--syntax-only", DEPLOY / "prometheus/prometheus.yaml")
    accepted("promtool", "test", "rules", DEPLOY / "prometheus/alerts_test.yaml")


def test_the_dashboard_finds_its_source():
    """Provisioned under the name that every panel uses; its own address never changes."""
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert DASHBOARD["uid"] == "enginehouse"
    assert {each["uid"] for each in provisioned["datasources"]} == sources(DASHBOARD) == {"prometheus"}
    assert len({each["id"] for each in DASHBOARD["panels"]}) == len(DASHBOARD["panels"]) == 12


def sources(part: Any) -> set[str]:
    """Every data source that is named anywhere in a dashboard."""
    if isinstance(part, list):
        return set().union(*map(sources, part))
    if not isinstance(part, dict):
        return set()
    own = {part["datasource"]["uid"]} if "datasource" in part else set()
    return own.union(*map(sources, part.values()))


def test_systemd_accepts_the_unit(tmp_path: Path):
    """With a program that is there; and by its own measure of exposure (10 is the worst) the unit is bounded."""
    text = (DEPLOY / "enginehouse.service").read_text()
    unit = tmp_path / "enginehouse.service"
    unit.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    accepted("systemd-analyze", "verify", "--man=no", unit)
    accepted("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)
