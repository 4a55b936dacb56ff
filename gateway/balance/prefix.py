"""The beginning of a prompt, cut into blocks: what two requests must share for one to find the other's work cached.

Pure. Read by `prefix_affinity` only; for every other policy nothing of a request is looked at.
"""

from __future__ import annotations

from itertools import accumulate, chain, islice, repeat
from typing import Final
from zlib import crc32

import msgspec

FINEST: Final = 256
"""Bytes of each of the first eight blocks: about 60 tokens."""
BLOCKS: Final = 32
"""Blocks that are looked at, at most, however long the prompt is."""
_STEPS: Final = chain(repeat(FINEST, 8), (FINEST << power for power in range(1, 32) for _ in range(4)))
BOUNDS: Final = (0, *accumulate(islice(_STEPS, BLOCKS)))
"""Where the blocks begin and end: 0, 256 … 2048, 2560 … 131072. Each doubling of the prompt after the first 2 KiB adds
four blocks, so that a place in it is known to a quarter at worst, and a prompt of any length costs 32 steps at most."""

_NOTHING: Final = msgspec.Raw(b"")


class _Prompt(msgspec.Struct):
    """Every field of the relayed paths that ends up in a prompt. Chat templates put tools and the system first."""

    cache_salt: msgspec.Raw = _NOTHING
    tools: msgspec.Raw = _NOTHING
    system: msgspec.Raw = _NOTHING
    instructions: msgspec.Raw = _NOTHING
    messages: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING
    prompt: msgspec.Raw = _NOTHING


_DECODER: Final = msgspec.json.Decoder(_Prompt)


class Prefix(msgspec.Struct, eq=False):
    """One request, as far as it says where its prompt may be cached. Invariant: it is cut once, and only if asked."""

    _served_name: str
    _body: bytes
    _blocks: tuple[int, ...] | None = None

    @property
    def blocks(self) -> tuple[int, ...]:
        """One number for each whole block from the prompt's beginning to that block's end."""
        if self._blocks is None:
            self._blocks = cut(self._served_name, self._body)
        return self._blocks


NO_PREFIX: Final = Prefix("", b"")
"""Of a request that leaves nothing in a worker's cache."""


def cut(served_name: str, body: bytes) -> tuple[int, ...]:
    """The blocks of a request's prompt; none where the body is no JSON object or has no prompt.

    The served name is part of every block: an adapter's cache is its own. What the last bracket or quote closes is open
    in the next turn, and what is left after the last whole block may change: neither counts. A running CRC-32 is three
    times cheaper than the cheapest cryptographic digest and the same in every gateway. Whoever forges one decides where
    requests of his own go, no more.
    """
    try:
        fields = _DECODER.decode(body)
    except msgspec.DecodeError:
        return ()
    salt, tools, system, instructions = fields.cache_salt, fields.tools, fields.system, fields.instructions
    texts = [text for text in (salt, tools, system, instructions, fields.messages, fields.input, fields.prompt) if text]
    text = memoryview(texts[0] if len(texts) == 1 else b"".join(texts))
    last, running, start, blocks = len(text) - 1, crc32(served_name.encode()), 0, []
    for depth, end in enumerate(BOUNDS[1:]):
        if end > last:
            break
        running = crc32(text[start:end], running)
        blocks.append(running << 5 | depth)
        start = end
    return tuple(blocks)
