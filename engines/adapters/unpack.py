"""An adapter out of a tar or zip that anybody may have made: its two files, and nothing else. Called by the store.

Nothing is written under a name of the archive's: members that are wanted go to names of ours, in a folder of ours, and
what the others are called only decides whether the archive is taken at all.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, Protocol, Self

from engines.adapters.findings import Finding, Reason
from engines.adapters.folder import PARTS, UNWANTED, NotThere
from engines.adapters.limits import Limits
from engines.weights.source import safe


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


_BLOCK: Final = 1 << 20
_LONGEST_EXTRA: Final = 1 << 20
"""Bytes of a tar's header beside the 512: a long name. Python reads them at once."""
_EASY: Final = 64 << 20
"""Bytes that any archive may unpack to, however small it is."""
_PACKED: Final[tuple[tuple[bytes, Callable[[BinaryIO], _Readable]], ...]] = (
    (b"\x1f\x8b", lambda file: gzip.GzipFile(fileobj=file)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
)
"""By the first bytes."""
_ZIP: Final = b"PK\x03\x04"
_BROKEN: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    struct.error,
    ValueError,
    OverflowError,
)
"""What Python's readers raise for archives that are none."""


def unpack(archive: Path, folder: Path, limits: Limits) -> None:
    """The adapter in `archive` laid into the empty `folder`. Raises `NotThere` with the finding, `OSError`."""
    descriptor = os.open(archive, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file, _readable(archive.name):  # noqa: PTH123 (a descriptor, not a path)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _refused(Reason.NOT_A_FILE, archive.name, "is not a plain file")
        if found.st_size > limits.unpacked:
            said = f"has {found.st_size} bytes, and {limits.unpacked} are taken: pack the adapter alone"
            raise _refused(Reason.ARCHIVE_TOO_LARGE, archive.name, said)
        writer = _Writer(archive.name, folder, limits, found.st_size)
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(_ZIP):
            _zip(file, writer)
        else:
            opener = next((opener for start, opener in _PACKED if magic.startswith(start)), None)
            _tar(opener(file) if opener else file, writer)
        writer.settle()


@contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as fault:
        said = f"cannot be unpacked ({str(fault)[:100] or type(fault).__name__}): pack it again, as .tar.gz or .zip"
        raise _refused(Reason.ARCHIVE_DAMAGED, name, said) from None
    except OSError as fault:
        # Python's decompressors raise it without a number for what is no fault of the disk.
        if fault.errno is not None:
            raise
        said = f"cannot be unpacked ({fault}): pack it again, as .tar.gz or .zip"
        raise _refused(Reason.ARCHIVE_DAMAGED, name, said) from None


def _refused(reason: Reason, name: str, said: str) -> NotThere:
    return NotThere(Finding(reason, ascii(name)[1:-1], said))


class _Counted:
    """A stream that ends with a refusal when more comes out of it than was to be expected."""

    def __init__(self, stream: _Readable, writer: _Writer) -> None:
        self._stream: Final = stream
        self._writer: Final = writer

    def read(self, size: int = _BLOCK) -> bytes:
        block = self._stream.read(size)
        self._writer.count(len(block))
        return block


class _Writer:
    """Takes members in. Invariant: only names of ours are written, each once, and never more than the limits."""

    def __init__(self, archive: str, folder: Path, limits: Limits, packed: int) -> None:
        self._archive: Final = archive
        self._folder: Final = folder
        self._limits: Final = limits
        self._most: Final = min(limits.unpacked, max(_EASY, packed * limits.ratio))
        self._octets = 0
        self._members = 0
        self._parents: Final[list[str]] = []

    def count(self, octets: int) -> None:
        """More has come out."""
        self._octets += octets
        if self._octets > self._most:
            said = f"unpacks to more than {self._most} bytes: pack the adapter alone"
            raise _refused(Reason.ARCHIVE_TOO_LARGE, self._archive, said)

    def admit(self, name: str, *, plain: bool) -> bool:
        """Whether the member is one of an adapter's files; refuses the archive for one that should not be in any."""
        self._members += 1
        if self._members > self._limits.members:
            said = f"lists more than {self._limits.members} files: pack the adapter alone"
            raise _refused(Reason.ARCHIVE_TOO_LARGE, self._archive, said)
        if not plain or not _inside(name):
            said = f"holds {name[:80]!a}, which is a link, a device, or leads out of its folder: pack plain files"
            raise _refused(Reason.ARCHIVE_UNSAFE, self._archive, said)
        return PurePosixPath(name).name in {*PARTS, *UNWANTED}

    def write(self, name: str, content: _Readable) -> None:
        """The member's bytes under its own last name, beside those of its folder. Of a pickle only the name."""
        path = PurePosixPath(name)
        parent = str(path.parent)
        if parent not in self._parents:
            self._parents.append(parent)
        place = self._folder / f"{self._parents.index(parent)}"
        place.mkdir(exist_ok=True)
        try:
            target = (place / path.name).open("xb")
        except FileExistsError:
            raise _refused(Reason.ARCHIVE_UNSAFE, self._archive, f"holds {name[:80]!a} twice: pack it again") from None
        with target:
            while path.name in PARTS and (block := content.read(_BLOCK)):
                target.write(block)

    def settle(self) -> None:
        """Lay the one adapter that was found directly into the folder."""
        if len(self._parents) != 1:
            said = "holds no adapter" if not self._parents else "holds files of an adapter in several folders"
            raise _refused(Reason.ARCHIVE_DAMAGED, self._archive, f"{said}: pack one folder that PEFT has saved")
        place = self._folder / "0"
        for found in list(place.iterdir()):
            found.rename(self._folder / found.name)
        place.rmdir()


def _inside(name: str) -> bool:
    """`tar -C folder .` lists the folder itself first."""
    return name in {".", "./"} or safe(name.removeprefix("./").rstrip("/"))


class _Member(tarfile.TarInfo):
    """Refuses at its first block what would make Python collect a list or a text without bounds."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        found = super().frombuf(buf, encoding, errors)
        extra = found.type not in tarfile.SUPPORTED_TYPES or found.type in _EXTRA
        if found.type == tarfile.GNUTYPE_SPARSE or (extra and found.size > _LONGEST_EXTRA):
            raise ValueError("a header of its own kind, and too long")
        return found


_EXTRA: Final = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def _tar(stream: _Readable, writer: _Writer) -> None:
    """Read once, from front to end: what is not wanted is skipped, and counted."""
    with tarfile.open(fileobj=_Counted(stream, writer), mode="r|", tarinfo=_Member) as archive:  # type: ignore[call-overload]
        for member in archive:
            plain = (member.isreg() or member.isdir()) and not member.issparse()
            if writer.admit(member.name, plain=plain) and member.isreg():
                tarfile.data_filter(member, "/")
                content = archive.extractfile(member)
                if content is not None:
                    writer.write(member.name, content)


def _zip(file: BinaryIO, writer: _Writer) -> None:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            plain = stat.S_IFMT(mode) in {0, stat.S_IFREG, stat.S_IFDIR}
            if writer.admit(member.filename, plain=plain) and not member.is_dir():
                with archive.open(member) as content:
                    writer.write(member.filename, _Counted(content, writer))
