"""Archives that anybody may have made: what they hold, and everything that refuses them."""

import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.findings import Reason
from engines.adapters.folder import NotThere
from engines.adapters.limits import Limits
from engines.adapters.unpack import unpack
from tests import lora

CONFIG = b"{}"
WEIGHTS = lora.packed(lora.tensors(layers=1, rank=1))
LIMITS = Limits(members=20, unpacked=1_000_000)


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, size
    return found


def tar(path, *more, prefix="a/", mode="w:gz"):
    """A sound adapter and whatever else; `more` are members or (name, bytes)."""
    with tarfile.open(path, mode) as archive:
        parts = [(f"{prefix}adapter_config.json", CONFIG), (f"{prefix}adapter_model.safetensors", WEIGHTS)]
        for each in [*parts, *more]:
            if isinstance(each, tuple):
                archive.addfile(member(each[0], size=len(each[1])), io.BytesIO(each[1]))
            else:
                archive.addfile(each)
    return path


def packed(path, *more):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        parts = [("a/adapter_config.json", CONFIG), ("a/adapter_model.safetensors", WEIGHTS)]
        for name, content in [*parts, *more]:
            archive.writestr(name, content)
    return path


def refusal(path, folder, limits=LIMITS):
    folder.mkdir(exist_ok=True)
    with pytest.raises(NotThere) as refused:
        unpack(path, folder, limits)
    return refused.value.finding.reason


@pytest.fixture
def out(tmp_path):
    made = tmp_path / "out"
    made.mkdir()
    return made


@pytest.mark.parametrize("prefix", ["", "./", "a/", "./a/b/"])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_the_two_files_are_taken_and_nothing_else(tmp_path, out, prefix, mode):
    unpack(tar(tmp_path / "a.tar", ("a/README.md", b"hello"), prefix=prefix, mode=mode), out, LIMITS)
    assert {found.name: found.read_bytes() for found in out.iterdir()} == {
        "adapter_config.json": CONFIG,
        "adapter_model.safetensors": WEIGHTS,
    }


def test_of_a_pickle_only_the_name_is_taken(tmp_path, out):
    """So that the doctor sees it."""
    unpack(packed(tmp_path / "a.zip", ("a/adapter_model.bin", b"\x80\x04")), out, LIMITS)
    assert (out / "adapter_model.bin").read_bytes() == b""


@pytest.mark.parametrize(
    "bad",
    [
        member("../adapter_config.json"),
        member("/etc/adapter_config.json"),
        member("a/../../x"),
        member("a/link", tarfile.SYMTYPE, "/etc/passwd"),
        member("a/link", tarfile.SYMTYPE, "adapter_config.json"),
        member("a/link", tarfile.LNKTYPE, "a/adapter_config.json"),
        member("a/pipe", tarfile.FIFOTYPE),
        member("a/device", tarfile.CHRTYPE),
        ("a/adapter_config.json", CONFIG),
    ],
)
def test_a_tar_with_anything_but_plain_files_inside_it_is_refused(tmp_path, out, bad):
    """And nothing is written outside of our folder."""
    assert refusal(tar(tmp_path / "a.tar.gz", bad), out) is Reason.ARCHIVE_UNSAFE
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.tar.gz", "out"]


@pytest.mark.parametrize("name", ["../x", "/x", "a\\..\\x", "a/../../x"])
def test_a_zip_that_leads_out_of_its_folder_is_refused(tmp_path, out, name):
    assert refusal(packed(tmp_path / "a.zip", (name, b"x")), out) is Reason.ARCHIVE_UNSAFE


def test_a_link_in_a_zip_is_refused(tmp_path, out):
    link = zipfile.ZipInfo("a/link")
    link.external_attr = 0o120777 << 16
    assert refusal(packed(tmp_path / "a.zip", (link, "/etc/passwd")), out) is Reason.ARCHIVE_UNSAFE


def test_a_tar_bomb_is_refused_long_before_it_is_unpacked(tmp_path, out):
    """Counted as it comes out, whatever the headers say; also what nobody wants of it."""
    bomb = tar(tmp_path / "a.tar.gz", ("a/other", bytes(2_000_000)))
    assert refusal(bomb, out) is Reason.ARCHIVE_TOO_LARGE


def test_a_zip_bomb_is_refused_long_before_it_is_unpacked(tmp_path, out):
    bomb = packed(tmp_path / "a.zip", ("b/adapter_model.safetensors", bytes(2_000_000)))
    assert refusal(bomb, out) is Reason.ARCHIVE_TOO_LARGE


@pytest.mark.parametrize("pack", [tar, packed])
def test_many_members_are_refused(tmp_path, out, pack):
    many = [(f"a/{number}", b"") for number in range(30)]
    assert refusal(pack(tmp_path / "a", *many), out) is Reason.ARCHIVE_TOO_LARGE


def test_an_archive_larger_than_any_adapter_is_not_opened(tmp_path, out):
    assert refusal(tar(tmp_path / "a.tar.gz"), out, Limits(unpacked=100)) is Reason.ARCHIVE_TOO_LARGE


def test_a_long_header_is_not_collected(tmp_path, out):
    """Python reads a long name at once, as long as it is said to be."""
    long = tarfile.TarInfo("x")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    (tmp_path / "a.tar").write_bytes(long.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert refusal(tmp_path / "a.tar", out) is Reason.ARCHIVE_DAMAGED


@pytest.mark.parametrize(
    "content", [b"", b"x" * 5000, b"PK\x03\x04", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00", bytes(2048)]
)
def test_what_is_no_archive_is_refused(tmp_path, out, content):
    (tmp_path / "a").write_bytes(content)
    assert refusal(tmp_path / "a", out) is Reason.ARCHIVE_DAMAGED


def test_two_adapters_in_one_archive_are_refused(tmp_path, out):
    assert refusal(packed(tmp_path / "a.zip", ("b/adapter_config.json", CONFIG)), out) is Reason.ARCHIVE_DAMAGED


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    place = tmp_path_factory.mktemp("archives")
    made = [tar(place / "a.tar.gz"), packed(place / "a.zip"), tar(place / "a.tar", mode="w")]
    return [path.read_bytes() for path in made]


@given(data=st.data())
def test_an_archive_damaged_anywhere_is_refused_or_still_the_same(sound, tmp_path_factory, data):
    """Cut, or with a byte changed: never an unexpected exception. The doctor looks at what comes out."""
    place = tmp_path_factory.mktemp("damaged")
    content = bytearray(data.draw(st.sampled_from(sound)))
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] = data.draw(st.integers(0, 255))
    (place / "archive").write_bytes(bytes(content))
    (place / "out").mkdir()
    said = ""
    try:
        unpack(place / "archive", place / "out", LIMITS)
    except NotThere as refused:
        said = refused.finding.reason
    assert said in {"", *(reason for reason in Reason if reason.startswith("archive_"))}
