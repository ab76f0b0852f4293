"""The books on disk: SQLite with a write-ahead log, one transaction for everything that a turn of the event loop did.

The exchange acknowledges only what has been committed. With `synchronous=NORMAL` a commit reaches the operating system
before the acknowledgement: the books survive a `kill -9` of the process (a power cut may take the last moments).
"""

from __future__ import annotations

import fcntl
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeVar

import msgspec

from exchanges.paper.accounts import AccountSettings
from exchanges.paper.ledger import House, HouseCoin, Position, Wallet
from exchanges.paper.orders import Execution, Order
from exchanges.paper.quotes import MarketState

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS orders (
  order_id TEXT PRIMARY KEY, uid INTEGER NOT NULL, symbol TEXT NOT NULL, order_link_id TEXT NOT NULL,
  status TEXT NOT NULL, is_open INTEGER NOT NULL, is_filled INTEGER NOT NULL, placed_seq INTEGER NOT NULL,
  seq INTEGER NOT NULL, created_at_ns INTEGER NOT NULL, updated_at_ns INTEGER NOT NULL, body TEXT NOT NULL,
  category TEXT NOT NULL DEFAULT 'linear'
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS orders_by_link ON orders (uid, order_link_id) WHERE order_link_id <> '';
CREATE INDEX IF NOT EXISTS orders_by_placing ON orders (uid, placed_seq);
CREATE INDEX IF NOT EXISTS orders_open ON orders (placed_seq) WHERE is_open = 1;
CREATE TABLE IF NOT EXISTS executions (
  seq INTEGER PRIMARY KEY, exec_id TEXT NOT NULL UNIQUE, uid INTEGER NOT NULL, symbol TEXT NOT NULL,
  order_id TEXT NOT NULL, order_link_id TEXT NOT NULL, executed_at_ns INTEGER NOT NULL, body TEXT NOT NULL,
  category TEXT NOT NULL DEFAULT 'linear'
);
CREATE INDEX IF NOT EXISTS executions_by_order ON executions (order_id);
CREATE INDEX IF NOT EXISTS executions_by_uid ON executions (uid, seq);
CREATE TABLE IF NOT EXISTS positions (
  uid INTEGER NOT NULL, symbol TEXT NOT NULL, position_idx INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (uid, symbol, position_idx)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wallets (uid INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS settings (uid INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS markets (symbol TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS house (coin TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
# Books of a time when there were only linear contracts and one coin.
_COLUMNS: Final = {"orders": "category", "executions": "category"}
_ONE_COIN: Final = """
UPDATE wallets SET body = json_object('uid', uid, 'coins', json_object('USDT', json_remove(body, '$.uid')))
WHERE json_type(body, '$.coins') IS NULL
"""
Body = TypeVar("Body")

# An upsert by order id only: a link id that is already another order's must fail, not replace it.
_PUT_ORDER: Final = """
INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)
ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, is_open = excluded.is_open,
  is_filled = excluded.is_filled, seq = excluded.seq, updated_at_ns = excluded.updated_at_ns, body = excluded.body
"""
_TABLES: Final = ("orders", "executions", "positions", "wallets", "settings", "markets", "house", "meta")


class BooksInUseError(OSError):
    """Two exchanges with one set of books would undo each other's work."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of an account to read, newest first; None or "" leaves a condition out. Times in nanoseconds."""

    uid: int
    category: str = ""
    symbols: Sequence[str] | None = None
    order_id: str = ""
    order_link_id: str = ""
    exec_type: str = ""
    status: str = ""
    from_ns: int | None = None
    until_ns: int | None = None
    below_seq: int | None = None
    closed_only: bool = False
    unfilled_from_ns: int | None = None
    limit: int | None = None


class Store:
    """The books. Writing is collected in memory until `flush`; every question flushes first, so it sees all.

    `path` None keeps them in memory; of those on disk, up to `cache_mib` of pages are, or as many as
    SQLite keeps by itself.
    """

    def __init__(self, path: Path | None, *, cache_mib: int = 0) -> None:
        self._lock = None if path is None else _exclusive(path)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        if cache_mib:
            self._db.execute(f"PRAGMA cache_size=-{cache_mib * 1024}")  # negative: KiB
        self._db.executescript(_SCHEMA)
        self._modernise()
        self._json = msgspec.json.Encoder()
        self._orders: dict[str, Order] = {}
        self._links: set[tuple[int, str]] = set()
        self._executions: list[Execution] = []
        self._positions: dict[tuple[int, str, int], Position] = {}
        self._wallets: dict[int, Wallet] = {}
        self._settings: dict[int, AccountSettings] = {}
        self._markets: dict[str, MarketState] = {}
        self._house: dict[str, HouseCoin] = {}
        self._notes: dict[str, str] = {}
        self._last_seq = 0

    def _modernise(self) -> None:
        """Bring books of an earlier version into today's shape."""
        for table, column in _COLUMNS.items():
            known = {row[1] for row in self._db.execute(f"PRAGMA table_info({table})")}
            if column not in known:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} TEXT NOT NULL DEFAULT 'linear'")
        self._db.execute(_ONE_COIN)

    # -- writing -------------------------------------------------------------------------------------------------

    @property
    def is_dirty(self) -> bool:
        return bool(
            self._orders
            or self._executions
            or self._positions
            or self._wallets
            or self._settings
            or self._markets
            or self._house
            or self._notes
        )

    def put_order(self, order: Order) -> None:
        self._orders[order.order_id] = order
        if order.order_link_id:
            self._links.add((order.uid, order.order_link_id))

    def add_execution(self, execution: Execution) -> None:
        self._executions.append(execution)

    def put_position(self, position: Position) -> None:
        self._positions[position.uid, position.symbol, position.position_idx] = position

    def put_wallet(self, wallet: Wallet) -> None:
        self._wallets[wallet.uid] = wallet

    def put_settings(self, settings: AccountSettings) -> None:
        self._settings[settings.uid] = settings

    def put_seq(self, seq: int) -> None:
        """The highest number given out; written along with whatever else is."""
        self._last_seq = seq

    def put_market(self, state: MarketState) -> None:
        self._markets[state.key] = state

    def put_house(self, coin: str, held: HouseCoin) -> None:
        self._house[coin] = held

    def flush(self) -> None:
        """Commit everything collected, in one transaction. Raises `sqlite3.Error`; then nothing of it is written."""
        if not self.is_dirty:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._write()
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        self._forget()

    def _write(self) -> None:
        write = self._db.executemany
        write(
            _PUT_ORDER,
            map(self._order, self._orders.values()),
        )
        write("INSERT INTO executions VALUES (?,?,?,?,?,?,?,?,?)", map(self._execution, self._executions))
        write(
            "INSERT OR REPLACE INTO positions VALUES (?,?,?,?)",
            ((p.uid, p.symbol, p.position_idx, self._body(p)) for p in self._positions.values()),
        )
        write(
            "INSERT OR REPLACE INTO wallets VALUES (?,?)",
            ((w.uid, self._body(w)) for w in self._wallets.values()),
        )
        write(
            "INSERT OR REPLACE INTO settings VALUES (?,?)",
            ((s.uid, self._body(s)) for s in self._settings.values()),
        )
        write(
            "INSERT OR REPLACE INTO markets VALUES (?,?)",
            ((m.key, self._body(m)) for m in self._markets.values()),
        )
        write(
            "INSERT OR REPLACE INTO house VALUES (?,?)",
            ((coin, self._body(held)) for coin, held in self._house.items()),
        )
        write("INSERT OR REPLACE INTO meta VALUES (?,?)", self._notes.items())
        self._db.execute("INSERT OR REPLACE INTO meta VALUES ('last_seq', ?)", (str(self._last_seq),))

    def _order(self, order: Order) -> tuple[object, ...]:
        return (
            order.order_id, order.uid, order.symbol, order.order_link_id, order.status.value,
            int(order.status.is_open), int(bool(order.cum_qty)), order.placed_seq, order.seq, order.created_at_ns,
            order.updated_at_ns, self._body(order), order.category.value,
        )  # fmt: skip

    def _execution(self, execution: Execution) -> tuple[object, ...]:
        return (
            execution.seq, execution.exec_id, execution.uid, execution.symbol, execution.order_id,
            execution.order_link_id, execution.executed_at_ns, self._body(execution), execution.category.value,
        )  # fmt: skip

    def _body(self, row: msgspec.Struct) -> str:
        return self._json.encode(row).decode()

    def _forget(self) -> None:
        """What was collected is written, or no longer wanted."""
        for collected in (self._orders, self._links, self._executions, self._positions, self._wallets):
            collected.clear()
        self._settings.clear()
        self._markets.clear()
        self._house.clear()
        self._notes.clear()

    def clear(self) -> None:
        """Forget everything, the salt of the ids too."""
        self._forget()
        self._db.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 -- names from the constant above
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close the file. What was not flushed is not written."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    # -- reading -------------------------------------------------------------------------------------------------

    def salt(self, wanted: str | None) -> str:
        """What makes the ids of these books their own: kept from the first opening on."""
        row = self._db.execute("SELECT value FROM meta WHERE name = 'salt'").fetchone()
        if row is not None:
            return str(row[0])
        salt = wanted if wanted is not None else secrets.token_hex(8)
        self._db.execute("INSERT INTO meta VALUES ('salt', ?)", (salt,))
        return salt

    def last_seq(self) -> int:
        """The highest sequence number that these books know of."""
        kept = self._db.execute("SELECT value FROM meta WHERE name = 'last_seq'").fetchone()
        used = self._db.execute(
            "SELECT MAX((SELECT IFNULL(MAX(seq), 0) FROM orders), (SELECT IFNULL(MAX(seq), 0) FROM executions))"
        ).fetchone()
        self._last_seq = max(int(kept[0]) if kept else 0, int(used[0]))
        return self._last_seq

    def knows_link(self, uid: int, order_link_id: str) -> bool:
        """True if the account has ever used this link id."""
        if (uid, order_link_id) in self._links:
            return True
        sql = "SELECT 1 FROM orders WHERE uid = ? AND order_link_id = ? AND order_link_id <> ''"
        return self._db.execute(sql, (uid, order_link_id)).fetchone() is not None

    def open_orders(self) -> Iterator[Order]:
        """All open orders in the order of their arrival."""
        return self._read("SELECT body FROM orders WHERE is_open = 1 ORDER BY placed_seq", (), Order)

    def wallets(self) -> dict[int, Wallet]:
        return {wallet.uid: wallet for wallet in self._read("SELECT body FROM wallets", (), Wallet)}

    def settings(self) -> dict[int, AccountSettings]:
        return {row.uid: row for row in self._read("SELECT body FROM settings", (), AccountSettings)}

    def positions(self) -> Iterator[Position]:
        return self._read("SELECT body FROM positions", (), Position)

    def market_states(self) -> dict[str, MarketState]:
        return {state.key: state for state in self._read("SELECT body FROM markets", (), MarketState)}

    def note(self, name: str) -> str | None:
        """What was noted under `name`, None if nothing."""
        self.flush()
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def put_note(self, name: str, value: str) -> None:
        """Remember `value` under `name`, along with whatever else is written."""
        self._notes[name] = value

    def house(self) -> House:
        self.flush()
        rows = self._db.execute("SELECT coin, body FROM house").fetchall()
        decode = msgspec.json.Decoder(HouseCoin).decode
        return House(coins={coin: decode(body) for coin, body in rows})

    def orders(self, wanted: Selection) -> list[Order]:
        """Orders by placing, newest first."""
        where, values = _conditions(wanted, "placed_seq", "created_at_ns")
        if wanted.order_link_id:
            where.append("order_link_id <> ''")  # tells SQLite that the partial index will do
        if wanted.status:
            where.append("status = ?")
            values.append(wanted.status)
        if wanted.closed_only:
            where.append("is_open = 0")
        if wanted.unfilled_from_ns is not None:
            where.append("(is_filled = 1 OR is_open = 1 OR updated_at_ns >= ?)")
            values.append(wanted.unfilled_from_ns)
        return list(self._select("orders", where, values, "placed_seq", wanted.limit, Order))

    def executions(self, wanted: Selection) -> list[Execution]:
        """Fills, newest first."""
        where, values = _conditions(wanted, "seq", "executed_at_ns")
        if wanted.exec_type:
            where.append("json_extract(body, '$.exec_type') = ?")
            values.append(wanted.exec_type)
        return list(self._select("executions", where, values, "seq", wanted.limit, Execution))

    def _select(
        self,
        table: str,
        where: list[str],
        values: list[object],
        order_by: str,
        limit: int | None,
        kind: type[Body],
    ) -> Iterator[Body]:
        sql = f"SELECT body FROM {table} WHERE {' AND '.join(where)} ORDER BY {order_by} DESC LIMIT ?"  # noqa: S608 -- only names from this module
        return self._read(sql, (*values, -1 if limit is None else limit), kind)

    def _read(self, sql: str, values: Sequence[object], kind: type[Body]) -> Iterator[Body]:
        self.flush()
        decode = msgspec.json.Decoder(kind).decode
        for (body,) in self._db.execute(sql, tuple(values)).fetchall():
            yield decode(body)


def _exclusive(path: Path) -> IO[bytes]:
    """A lock next to the books, held while the file that is given back is open; it goes with the process, however that
    ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise BooksInUseError(f"BOOKS_IN_USE: another paper exchange works with {path}") from error
    return lock


def _conditions(wanted: Selection, seq_column: str, time_column: str) -> tuple[list[str], list[object]]:
    where: list[str] = ["uid = ?"]
    values: list[object] = [wanted.uid]
    if wanted.symbols is not None:
        where.append(f"symbol IN ({','.join('?' * len(wanted.symbols))})")
        values.extend(wanted.symbols)
    for column, operator, value in (
        ("category", "=", wanted.category or None),
        ("order_id", "=", wanted.order_id or None),
        ("order_link_id", "=", wanted.order_link_id or None),
        (time_column, ">=", wanted.from_ns),
        (time_column, "<=", wanted.until_ns),
        (seq_column, "<", wanted.below_seq),
    ):
        if value is not None:
            where.append(f"{column} {operator} ?")
            values.append(value)
    return where, values
