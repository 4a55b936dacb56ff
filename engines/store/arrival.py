"""An adapter on its way into the store. Made by `engines.ledger.adding`, taken by `adapters`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engines.store.failures import StoreRefused
from registry import names


@dataclass(frozen=True, slots=True)
class Arrival:
    """An adapter that is to be stored, and who says so."""

    model: str
    adapter: str
    path: Path
    """A folder, or a tar or zip of one, on this machine."""
    who: str
    source: str = ""
    """As it was asked for; empty: the path."""

    @property
    def asked(self) -> str:
        """What to call it."""
        return self.source or str(self.path)

    def check(self) -> None:
        """Raises `StoreRefused` where nothing can be called so, or nothing is there."""
        try:
            names.check_model(self.model)
        except names.NameRefused as refused:
            raise StoreRefused(f"the model's name {refused}") from None
        try:
            names.check_adapter(self.adapter)
        except names.NameRefused as refused:
            raise StoreRefused(f"an adapter's name {refused}") from None
        if not self.path.exists():
            raise StoreRefused(f"{self.asked}: there is no such file or folder")
