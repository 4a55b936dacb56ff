"""What counts as installed."""

from pathlib import Path

from engines.environments.locks import Pin
from engines.environments.site import difference, finished, metadata_of

DEMO = Pin("demo-package", "1.0+cpu")


def install(root: Path, *, record: bool = True, files: tuple[str, ...] = ("demo/__init__.py",)) -> Path:
    """Lay a package down as pip does, the list of files last."""
    site = root / "lib/python3.11/site-packages"
    metadata = site / "Demo_Package-1.0+cpu.dist-info"
    metadata.mkdir(parents=True)
    for name in files:
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).touch()
    if record:
        rows = [*files, "demo/__pycache__/__init__.cpython-311.pyc", "Demo_Package-1.0+cpu.dist-info/RECORD"]
        (metadata / "RECORD").write_text("".join(f"{name},,\n" for name in rows))
    return site


def test_a_whole_package_is_no_difference(tmp_path):
    """Bytecode that is on the list but not on disk does not count."""
    install(tmp_path)
    assert difference(tmp_path, [DEMO]).is_none


def test_another_version_is_missing(tmp_path):
    """A lock means exactly its versions."""
    install(tmp_path)
    found = difference(tmp_path, [Pin("demo-package", "2.0")])
    assert found.missing == (Pin("demo-package", "2.0"),)
    assert str(found) == "missing: demo-package==2.0"


def test_a_package_without_its_list_of_files_is_damaged(tmp_path):
    """Pip writes the list last: an interruption leaves it out."""
    install(tmp_path, record=False)
    assert difference(tmp_path, [DEMO]).damaged == (DEMO,)


def test_a_package_whose_files_are_gone_is_damaged(tmp_path):
    """Somebody may have deleted a folder to free some space."""
    (install(tmp_path) / "demo/__init__.py").unlink()
    found = difference(tmp_path, [DEMO])
    assert found.damaged == (DEMO,)
    assert str(found) == "incomplete: demo-package==1.0+cpu"


def test_a_folder_that_is_no_environment_lacks_everything(tmp_path):
    """Nothing is installed where there is no site-packages."""
    assert difference(tmp_path, [DEMO]).missing == (DEMO,)
    assert finished(tmp_path) == 0
    assert metadata_of(tmp_path, DEMO) is None


def test_a_long_list_of_missing_packages_is_cut(tmp_path):
    """A message is for reading."""
    wanted = [Pin(f"package{number}", "1") for number in range(8)]
    assert str(difference(tmp_path, wanted)).endswith("package4==1 and 3 more")


def test_finished_packages_are_counted_by_their_lists(tmp_path):
    """Progress while pip unpacks silently."""
    install(tmp_path)
    assert finished(tmp_path) == 1
