"""The shipped texts as token ids: documents parted by a line `%%`; one that begins with `@chat` is a conversation.

A conversation is rendered by the model's own chat template, so that calibration and evaluation see what the
engine will see. Used by `quantize` and `perplexity`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_TURN = re.compile(r"^(system|user|assistant): ", re.MULTILINE)


def documents(path: Path) -> list[str]:
    """The documents of the file at `path`, in order, without the marks between them.

    A line of a `.jsonl` file is one: its `text`, or its `messages`.
    """
    if path.suffix == ".jsonl":
        return [_document(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [part.strip("\n") for part in path.read_text(encoding="utf-8").split("\n%%\n")]


def _document(row: dict[str, Any]) -> str:
    """A row of a `.jsonl` file as a text file would have it. Raises `KeyError` for one that has neither."""
    if "messages" in row:
        return "@chat\n" + "\n".join(f"{turn['role']}: {turn['content']}" for turn in row["messages"])
    return str(row["text"])


def turns(document: str) -> list[dict[str, str]]:
    """The messages of a conversation, as a chat template takes them; empty for prose."""
    if not document.startswith("@chat\n"):
        return []
    parts = _TURN.split(document.removeprefix("@chat\n"))[1:]
    return [{"role": role, "content": text.strip("\n")} for role, text in zip(parts[::2], parts[1::2], strict=True)]


def token_ids(document: str, tokenizer: Any) -> list[int]:
    """The tokens of one document; a model without a chat template reads a conversation as plain text."""
    messages = turns(document)
    if messages and tokenizer.chat_template:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        return list(tokenizer(text, add_special_tokens=False).input_ids)
    return list(tokenizer(document.removeprefix("@chat\n")).input_ids)


def samples(path: Path, tokenizer: Any, *, count: int, length: int) -> list[list[int]]:
    """Up to `count` runs of `length` tokens; all documents one after another, cut into equal pieces."""
    stream = [token for document in documents(path) for token in token_ids(document, tokenizer)]
    pieces = [stream[start : start + length] for start in range(0, len(stream) - length + 1, length)]
    return pieces[:count]
