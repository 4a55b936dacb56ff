r"""A JSON text reduced to what stands outside of its strings, megabytes in a few passes of C. Pure.

Called by `api.shape` and `api.numbers`. What makes it quick is Python's own codec `unicode_escape`: once the bytes are
renamed so that a quote reads `a`, an escaped one becomes `\a`, which is another character, and a run of backslashes is
paired as JSON pairs it.
"""

from __future__ import annotations

from typing import Final

_ESCAPES: Final = b'"\\/bfnrtu'
"""What follows a backslash in JSON."""
_ESCAPE: Final = b"n"
"""What all that is not looked for is called: with a backslash before it, it is an escape that Python knows too."""


def _renaming(names: dict[bytes, bytes]) -> bytes:
    table = bytearray(_ESCAPE * 256)
    for originals, name in names.items():
        for original in originals:
            table[original] = ord(name)
    return bytes(table)


_MARKS: Final = _renaming({b'"': b"a", b"\\": b"\\", b"[{": b"f", b"]}": b"r", b",": b"t"})
_UNMARKED: Final = bytes(set(range(256)) - set(b"[]{}," + _ESCAPES))
_NAMES: Final = bytes.maketrans(b"afrt", b'"{},')
_UNNAMED: Final = bytes(set(range(256)) - set(b"afrt"))

_NUMERALS: Final = _renaming(
    {b'"': b"a", b"\\": b"\\", b"eE": b"e", b" \t\r\n,:[]{}": b","}
    | {bytes([kept]): bytes([kept]) for kept in b"0123456789.+-"}
)


def marks(text: bytes) -> bytes:
    """The quotes that begin and end the strings of `text`; its commas and brackets, all of one kind; none escaped.

    Of what is no JSON they are worth nothing, but that is no fault.
    """
    return _unescaped(text.translate(_MARKS, _UNMARKED)).translate(_NAMES, _UNNAMED)


def outside(marks: bytes) -> bytes:
    """Of `marks`, those between strings."""
    # Two quotes side by side go away without changing what is inside a string and what is not.
    return b"".join(marks.replace(b'""', b"").split(b'"')[::2])


def numerals(text: bytes) -> bytes:
    """The numbers of the JSON text `text` between commas; of its strings nothing, of `true` a letter for each."""
    return b"".join(_unescaped(text.translate(_NUMERALS)).split(b"a")[::2])


def _unescaped(renamed: bytes) -> bytes:
    if b"\\" not in renamed:
        return renamed
    return renamed.decode("unicode_escape", "ignore").encode("latin-1")
