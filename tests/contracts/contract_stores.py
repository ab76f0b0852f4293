"""Looking into the local stores that a worker left."""

from __future__ import annotations

from contract_harness import PARTITIONS, Scene
from contract_worker import by_tens
from rocksdict import Options, Rdict

from tables.shard import IDENTITY, Shard
from tables.store_memory import StoreMemory


def local_rows(scene: Scene, worker: str, partition: int) -> tuple[dict[bytes, bytes], list[tuple[bytes, bytes]], int]:
    """Rows, index entries and position of a worker's disk, once the worker is gone."""
    path = scene.directory / f"data-{worker}" / "tables" / f"t-{partition}"
    disk = Rdict(str(path), Options(raw_mode=True))
    identity = disk[IDENTITY]
    disk.close()
    shard = Shard(path, identity, by_tens, StoreMemory(4 << 20))
    try:
        return dict(shard.scan(b"")), list(shard.scan_index(b"")), shard.next_offset
    finally:
        shard.close()


def has_store(scene: Scene, worker: str, partition: int) -> bool:
    return (scene.directory / f"data-{worker}" / "tables" / f"t-{partition}").exists()


async def assert_stores_are_prefixes_of_the_changelog(scene: Scene, worker: str) -> None:
    changelog = await scene.read(scene.changelog)
    for partition in range(PARTITIONS):
        if not has_store(scene, worker, partition):
            continue
        rows, index, next_offset = local_rows(scene, worker, partition)
        folded = {
            record.key: record.value
            for record in changelog
            if record.partition == partition and record.offset < next_offset
        }
        assert rows == folded
        assert index == sorted((entry, key) for key, value in folded.items() for entry in by_tens(key, value))
