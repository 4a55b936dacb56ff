"""What a person did that cannot work: said in one line, never as a traceback. Raised by verbs, shown by `__main__`."""

from __future__ import annotations

from typing import Final


class Mistake(Exception):
    """Its text tells what is wrong and what to do; `exit_code` is what the shell gets."""

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code: Final = exit_code
