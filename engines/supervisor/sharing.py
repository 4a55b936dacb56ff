"""With whom this host shares its adapters, by the registry's `store`. Called by `main`, given to `lodgings`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engines.store.adapters import Sharing
from engines.store.annals import Annals
from engines.store.book import Book
from engines.store.database import Database
from engines.store.depot import Depot
from engines.store.files import Files
from engines.store.shared import SharedBook
from registry.sharing import StoreSpec


def redis_annals(url: str) -> Annals:
    """Imported when it is needed: Redis' client would take 0.1 s of the start of every command."""
    made: Callable[[str], Annals] = importlib.import_module("engines.store.redisannals").RedisAnnals
    return made(url)


def sharing(
    store: StoreSpec | None, wall: Callable[[], float], annals: Callable[[str], Annals] = redis_annals
) -> Sharing | None:
    """None: other hosts, if there are any, have adapters of their own. Nothing is connected to yet."""
    return partial(_shared, store, wall, annals) if store else None


def _shared(
    store: StoreSpec,
    wall: Callable[[], float],
    annals: Callable[[str], Annals],
    root: Path,
    rows: Database,
    files: Files,
) -> Book:
    return SharedBook(root, rows, files, annals(store.redis), Depot(Path(store.files), wall))
