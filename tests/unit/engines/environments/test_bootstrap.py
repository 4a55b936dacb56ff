"""The program that makes `.venv`: what it takes for finished, and what for damaged."""

from pathlib import Path

from engines.environments import bootstrap


def completed(venv: Path, profile: str) -> Path:
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").touch()
    bootstrap.stamp(profile, venv).write_text(bootstrap.digest(profile), encoding="utf-8")
    return venv


def site_with_package(venv: Path, *, recorded: bool = True) -> Path:
    site = venv / "lib/python3.11/site-packages"
    information = site / "thing-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n", encoding="utf-8")
    (site / "thing.py").touch()
    if recorded:
        record = "thing.py,,\n__pycache__/thing.cpython-311.pyc,,\nthing-1.0.dist-info/METADATA,,\n"
        (information / "RECORD").write_text(record, encoding="utf-8")
    return site


def test_a_stamp_with_the_present_digest_means_finished(tmp_path):
    """A second set-up costs next to nothing: it reads one stamp."""
    assert bootstrap.finished("gateway", completed(tmp_path, "gateway"))


def test_a_stamp_of_other_locks_does_not_mean_finished(tmp_path):
    """A changed lock is installed."""
    venv = completed(tmp_path, "gateway")
    bootstrap.stamp("gateway", venv).write_text("0" * 64, encoding="utf-8")
    assert not bootstrap.finished("gateway", venv)


def test_what_serves_does_not_count_as_what_tests(tmp_path):
    """Each profile has a stamp of its own."""
    assert not bootstrap.finished("develop", completed(tmp_path, "gateway"))


def test_a_venv_whose_python_is_gone_is_not_finished(tmp_path):
    """The system's Python may have been replaced since."""
    venv = completed(tmp_path, "gateway")
    (venv / "bin/python").unlink()
    assert not bootstrap.finished("gateway", venv)


def test_a_whole_package_is_not_damaged(tmp_path):
    """Compiled files come and go; they do not count."""
    site_with_package(tmp_path)
    assert not bootstrap.damaged(tmp_path)


def test_a_package_that_lacks_a_file_is_damaged(tmp_path):
    """Pip takes such a package for installed; an interruption leaves it so."""
    (site_with_package(tmp_path) / "thing.py").unlink()
    assert bootstrap.damaged(tmp_path)


def test_a_package_without_a_record_is_damaged(tmp_path):
    """Pip writes the record last."""
    site_with_package(tmp_path, recorded=False)
    assert bootstrap.damaged(tmp_path)


def test_no_package_is_pinned_by_two_locks_that_are_installed_together():
    """gateway.txt and develop.txt share one environment."""
    text = "\n".join(lock.read_text(encoding="utf-8") for lock in bootstrap.locks("develop"))
    names = [line.split("==")[0].lower() for line in text.split("\n") if "==" in line]
    assert sorted(set(names)) == sorted(names)
