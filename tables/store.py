"""Faust's view of our tables. Faust needs it to place changelog partitions with their inputs and to route requests;
rows are read and written through `DurableRows` only."""

# Faust and aiokafka carry no types that mypy could follow:
# mypy: allow-subclassing-any, allow-untyped-decorators
from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

import faust
from faust.stores import base

from tables.durable_rows import DurableRows


class UseRows(TypeError):  # noqa: N818 -- says what to do
    """A table was used as Faust's mapping, which knows no partitions, receipts or scans."""


class RowsStore(base.Store):
    """A store for Faust's table manager: it keeps nothing itself."""

    def __init__(self, url: str, app: Any, table: Any, *, rows: DurableRows, **kwargs: Any) -> None:
        super().__init__(url, app, table, **kwargs)
        self.rows = rows

    def persisted_offset(self, tp: Any) -> int | None:
        """The last changelog offset on disk."""
        position = self.rows.position(tp.partition) if tp.partition in self.rows.opened() else None
        return None if position is None else position.next_offset - 1

    async def on_stop(self) -> None:
        """Give all files free."""
        self.rows.settle()
        for partition in self.rows.opened():
            self.rows.close(partition)

    def reset_state(self) -> None:
        """Faust's `reset` command: nothing to do, stores are rebuilt from the changelog whenever they don't fit it."""

    def _use_rows(self) -> NoReturn:
        raise UseRows(f"USE_ROWS: table {self.rows.name}: read and write it through its rows")

    def __getitem__(self, key: Any) -> Any:
        self._use_rows()

    def __setitem__(self, key: Any, value: Any) -> None:
        self._use_rows()

    def __delitem__(self, key: Any) -> None:
        self._use_rows()

    def __iter__(self) -> Iterator[Any]:
        self._use_rows()

    def __len__(self) -> int:  # noqa: PLE0303 -- it never returns
        self._use_rows()

    async def backup_partition(self, *_args: Any, **_kwargs: Any) -> None:
        """No backups: the changelog is what there is to keep."""
        self._use_rows()

    def restore_backup(self, *_args: Any, **_kwargs: Any) -> None:
        """No backups: the changelog is what there is to keep."""
        self._use_rows()

    def apply_changelog_batch(self, *_args: Any, **_kwargs: Any) -> None:
        """Recovery reads changelogs itself."""
        self._use_rows()


class DurableTable(faust.Table):
    """A Faust table around `rows`: declares the changelog to the assignor, refuses everything else."""

    def __init__(self, app: Any, *, rows: DurableRows, **kwargs: Any) -> None:
        self.rows = rows
        super().__init__(app, key_type=bytes, value_type=bytes, **kwargs)

    def _new_store(self) -> RowsStore:
        return RowsStore("rows://", self.app, self, rows=self.rows, table_name=self.name)

    def _changelog_topic_name(self) -> str:
        return self.rows.changelog_topic

    def on_key_set(self, *_args: Any) -> None:
        """Faust's way of writing has no receipt."""
        raise UseRows(f"USE_ROWS: table {self.rows.name}: put() through its rows")

    def on_key_del(self, *_args: Any) -> None:
        """Faust's way of deleting has no receipt."""
        raise UseRows(f"USE_ROWS: table {self.rows.name}: put() through its rows")

    def info(self) -> dict[str, Any]:
        """What Faust copies a table by."""
        return {**super().info(), "rows": self.rows}
