"""The store from outside: what is stored stays, names move, what is refused changes nothing."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from engines.adapters.against import Against
from engines.adapters.findings import Reason
from engines.store.adapters import AdapterStore
from engines.store.arrival import Arrival
from engines.store.failures import AdapterRefused, AliasMoved, StoreDamaged, StoreRefused
from engines.store.keeping import Keep
from registry.adapters import Canary, Share
from tests import lora

ANY = Against()
SHAPES = lora.tensors(layers=1, rank=2)
NOTHING_KEPT = Keep(last=1, seconds=0.0)


def adapter(folder, alpha=8):
    """Another alpha is another revision."""
    return lora.write(folder, lora.config(r=2, lora_alpha=alpha), SHAPES)


@pytest.fixture
async def store(tmp_path):
    ticks = iter(range(1_000_000))
    made = AdapterStore(tmp_path / "adapters", clock=lambda: float(next(ticks)))
    await made.open()
    return made


@pytest.fixture
async def two(store, tmp_path):
    """Two revisions of one adapter, the first of them current."""
    kept = [await store.add(arrival(adapter(tmp_path / str(alpha), alpha)), ANY) for alpha in (1, 2)]
    await store.promote("small", "pirate", kept[0].digest, "ann")
    return kept


def arrival(path, name="pirate", model="small"):
    return Arrival(model, name, path, who="ann")


async def test_what_was_stored_is_there_whole_and_cannot_be_written_to(store, tmp_path):
    source = adapter(tmp_path / "a")
    (source / "optimizer.pt").write_bytes(b"not an adapter's")
    kept = await store.add(arrival(source), ANY)
    place = await store.verify(kept)
    assert sorted(found.name for found in place.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]
    assert all(found.stat().st_mode & 0o222 == 0 for found in place.iterdir())
    assert (kept.rank, kept.who, kept.source, kept.current) == (2, "ann", str(source), False)


async def test_the_same_content_is_the_same_revision(store, tmp_path):
    """Whoever brings it, however it is packed, and whatever lies beside it."""
    source = adapter(tmp_path / "a")
    first = await store.add(arrival(source), ANY)
    packed = shutil.make_archive(str(tmp_path / "packed"), "gztar", tmp_path, "a")
    second = await store.add(arrival(tmp_path / packed, model="other"), ANY)
    assert first.digest == second.digest
    assert await store.add(arrival(source), ANY) == first


@pytest.mark.parametrize("pack", ["tar", "gztar", "bztar", "xztar", "zip"])
async def test_every_usual_archive_is_taken(store, tmp_path, pack):
    adapter(tmp_path / "in" / "a")
    packed = shutil.make_archive(str(tmp_path / "packed"), pack, tmp_path / "in")
    assert (await store.add(arrival(tmp_path / packed), ANY)).rank == 2


async def test_a_refused_one_changes_nothing_and_is_kept_aside(store, two, tmp_path):
    bad = lora.write(tmp_path / "bad", lora.config(r=2, use_dora=True), SHAPES)
    with pytest.raises(AdapterRefused) as refused:
        await store.add(arrival(bad), ANY)
    assert {finding.reason for finding in refused.value.findings} == {Reason.DORA}
    assert (await store.find("small", "pirate")).digest == two[0].digest
    (note,) = await store.refusals()
    assert (note.source, note.who) == (str(bad), "ann")
    assert Path(note.place).parent == tmp_path / "adapters" / "quarantine"
    assert Path(note.place, "adapter_config.json") in (tmp_path / "adapters" / "quarantine").rglob("*")
    assert len(await store.revisions()) == 2


@pytest.mark.parametrize("name", ["", "A", "-a", "a/b", "..", "a:b", "a\n", "a" * 65, "é"])
async def test_only_a_plain_name_is_one(store, tmp_path, name):
    with pytest.raises(StoreRefused, match="name must be 1 to 64"):
        await store.add(arrival(adapter(tmp_path / "a"), name), ANY)


async def test_a_name_moves_and_goes_back_and_its_history_tells(store, two):
    first, second = (each.digest for each in two)
    await store.promote("small", "pirate", second[:8], "bob")
    assert (await store.find("small", "pirate")).digest == second
    assert (await store.rollback("small", "pirate", "eve")).digest == first
    with pytest.raises(StoreRefused, match="no way back"):
        await store.rollback("small", "pirate", "eve")
    told = [(move.who, move.why, move.was, move.now) for move in await store.history("small", "pirate")]
    assert told == [
        ("ann", "promote", None, first),
        ("bob", "promote", first, second),
        ("eve", "rollback", second, first),
    ]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("promote", ("split", "bob (the split ends)")),
        ("move", ("promote", "bob (the split ends)")),
        ("remove", ("remove", "bob (the split ends)")),
        ("rollback", ("rollback", "bob (the split ends)")),
        ("end", ("split", "bob (too slow; the split ends)")),
    ],
)
async def test_who_ends_a_split_is_in_the_history(store, two, act, said):
    """By whatever order, also by promoting what the name stands for already. What ends nothing says nothing."""
    first, second = (each.digest for each in two)
    acts = {
        "promote": lambda: store.promote("small", "pirate", second, "bob"),
        "move": lambda: store.promote("small", "pirate", first, "bob"),
        "rollback": lambda: store.rollback("small", "pirate", "bob"),
        "remove": lambda: store.remove("small", "pirate", "bob"),
        "end": lambda: store.note_split("small", "pirate", "bob", None, "too slow"),
    }
    await store.promote("small", "pirate", second, "ann")
    await store.note_split("small", "pirate", "ann", Canary((Share(first, 1), Share(second, 1))))
    await acts[act]()
    moves = await store.history("small", "pirate")
    assert ((str(moves[-1].why), moves[-1].who), await store.splits()) == (said, {})
    await store.note_split("small", "pirate", "bob")
    assert await store.history("small", "pirate") == moves


async def test_a_name_that_was_moved_meanwhile_is_not_moved(store, two):
    """Who has seen something else decides anew."""
    with pytest.raises(AliasMoved):
        await store.promote("small", "pirate", two[1].digest, "bob", expected=two[1].digest)
    assert (await store.find("small", "pirate")).digest == two[0].digest


async def test_a_removed_name_stands_for_nothing_and_can_come_back(store, two):
    await store.remove("small", "pirate", "ann")
    with pytest.raises(StoreRefused, match="there is no small:pirate"):
        await store.find("small", "pirate")
    assert (await store.rollback("small", "pirate", "ann")).digest == two[0].digest


async def test_a_revision_is_found_by_the_beginning_of_its_digest(store, two):
    assert (await store.find("small", "pirate", two[1].digest[:10])).digest == two[1].digest
    with pytest.raises(StoreRefused, match="stored revisions"):
        await store.find("small", "pirate", "f" * 64)


async def test_what_is_current_pinned_or_loaded_is_never_collected(store, two, tmp_path):
    third = await store.add(arrival(adapter(tmp_path / "3", 3)), ANY)
    await store.pin("small", "pirate", third.digest)
    assert await store.collect({two[1].digest}, NOTHING_KEPT) == ()
    (gone,) = await store.collect(set(), NOTHING_KEPT)
    assert gone.digest == two[1].digest
    assert [each.digest for each in await store.revisions()] == [two[0].digest, third.digest]
    with pytest.raises(StoreDamaged):
        await store.verify(two[1])


async def test_content_that_another_adapter_has_too_stays(store, two, tmp_path):
    """Two names, one content: it goes with the last of them."""
    shared = await store.add(arrival(tmp_path / "2", "copy"), ANY)
    await store.pin("small", "copy", shared.digest)
    await store.collect(set(), NOTHING_KEPT)
    assert await store.verify(shared)
    assert {each.adapter for each in await store.revisions() if each.digest == two[1].digest} == {"copy"}


async def test_a_file_that_was_changed_on_the_disk_is_not_handed_out(store, two):
    place = await store.verify(two[0]) / "adapter_model.safetensors"
    place.chmod(0o644)
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreDamaged, match="was changed on the disk"):
        await store.verify(two[0])


async def test_what_dead_processes_have_left_is_cleared_away(store, two, tmp_path):
    """Work that nobody holds and content that no row names; what is stored stays."""
    for left in ("incoming/abc", f"revisions/{'f' * 64}"):
        (tmp_path / "adapters" / left).mkdir()
    await store.open()
    assert list((tmp_path / "adapters" / "incoming").iterdir()) == []
    assert {each.name for each in (tmp_path / "adapters" / "revisions").iterdir()} == {each.digest for each in two}


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to be one" * 100])
async def test_a_damaged_database_is_named(store, two, tmp_path, damage):
    """And where the adapters still are."""
    place = tmp_path / "adapters" / "store.sqlite"
    for beside in ("store.sqlite-wal", "store.sqlite-shm"):
        (tmp_path / "adapters" / beside).unlink(missing_ok=True)
    whole = place.read_bytes()
    place.write_bytes(damage or whole[:4096] + b"\xa5" * (len(whole) - 4096))
    with pytest.raises(StoreDamaged, match=r"store\.sqlite is damaged .*their files are still in"):
        await store.open()
    assert len(two) == 2


async def test_another_programs_database_is_left_alone(tmp_path):
    (tmp_path / "adapters").mkdir()
    with sqlite3.connect(tmp_path / "adapters" / "store.sqlite") as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with pytest.raises(StoreDamaged, match="some other program's"):
        await AdapterStore(tmp_path / "adapters", clock=lambda: 0.0).open()


async def test_a_newer_version_is_left_alone(store, tmp_path):
    with sqlite3.connect(tmp_path / "adapters" / "store.sqlite") as newer:
        newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreDamaged, match="a newer Enginehouse"):
        await store.revisions()


async def test_a_source_that_is_not_there_is_said_to_be_so(store, tmp_path):
    with pytest.raises(StoreRefused, match="no such file"):
        await store.add(arrival(tmp_path / "nothing"), ANY)


async def test_an_archive_that_is_none_is_refused_with_its_code(store, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(AdapterRefused) as refused:
        await store.add(arrival(tmp_path / "a.zip"), ANY)
    assert refused.value.findings[0].reason is Reason.ARCHIVE_DAMAGED


async def test_a_folder_without_an_adapter_is_refused_by_its_own_name(store, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AdapterRefused) as refused:
        await store.add(arrival(tmp_path / "empty"), ANY)
    assert {finding.reason for finding in refused.value.findings} == {Reason.CONFIG_MISSING, Reason.WEIGHTS_MISSING}
    assert str(tmp_path / "empty") in str(refused.value)
    assert "incoming" not in str(refused.value)


async def test_links_are_refused_as_what_they_are(store, tmp_path):
    """As in a hub's cache: nothing is missing there, and the advice is another."""
    source, linked = adapter(tmp_path / "a"), tmp_path / "linked"
    linked.mkdir()
    for found in source.iterdir():
        (linked / found.name).symlink_to(found)
    with pytest.raises(AdapterRefused, match="cp -rL") as refused:
        await store.add(arrival(linked), ANY)
    assert {finding.reason for finding in refused.value.findings} == {Reason.NOT_A_FILE}
