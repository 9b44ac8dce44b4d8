"""A scan's progress in a file, so that it goes on where it was stopped, killed even.

An SQLite database: a transaction is in the file as a whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from normviz.errors import NormvizError, ParameterError
from normviz.statistics.dataset import DatasetStatistics
from normviz.statistics.rows import Row
from normviz.statistics.stored import from_text, row_of, row_record, to_text

# Says in the file that it is one of ours ("nvcp").
_OURS = 0x6E766370

_TABLES = f"""
PRAGMA application_id = {_OURS};
CREATE TABLE scan (only INTEGER PRIMARY KEY CHECK (only = 0), plan TEXT NOT NULL,
    parts INTEGER NOT NULL, statistics TEXT NOT NULL);
CREATE TABLE rows (part INTEGER PRIMARY KEY, rows BLOB NOT NULL);
"""


class Checkpoint:
    """The first parts of a plan that are done, and the statistics of their images.

    ``plan`` says what is measured and how, in words: a file that was begun under another plan is
    refused. Raises :class:`NormvizError` for a file that is no checkpoint.
    """

    def __init__(self, path: Path, plan: str) -> None:
        self._path = path
        self.done = 0
        """How many parts are done, counted from the first."""
        self.statistics: DatasetStatistics | None = None
        """The statistics of those, with a sample of their rows."""
        try:
            self._file = sqlite3.connect(path, timeout=1, isolation_level=None)
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        try:
            self._open(plan)
        except sqlite3.Error as error:
            self.close()
            raise self._refusal(error) from None
        except NormvizError:
            self.close()
            raise

    def _open(self, plan: str) -> None:
        # Held until the end, so that two scans never write to one file.
        self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._file.execute("BEGIN EXCLUSIVE")
        (tables,) = self._file.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not tables:
            for statement in _TABLES.split(";"):
                self._file.execute(statement)
            empty = to_text(DatasetStatistics.empty())
            self._file.execute("INSERT INTO scan VALUES (0, ?, 0, ?)", (plan, empty))
        elif self._file.execute("PRAGMA application_id").fetchone() != (_OURS,):
            raise NormvizError(f"{self._path}: this is a database of something else. {_OTHER}")
        self._file.execute("COMMIT")
        found, done, text = self._file.execute(
            "SELECT plan, parts, statistics FROM scan"
        ).fetchone()
        if found != plan:
            raise NormvizError(
                f"{self._path}: this checkpoint is of another scan: other or changed images, or "
                f"measured in another way. {_OTHER[:-1]}, or delete this one."
            )
        if done:
            self.done = done
            try:
                self.statistics = from_text(text)
            except ParameterError as error:
                raise NormvizError(f"{self._path}: {error} {_OTHER}") from None

    def record(
        self, done: int, statistics: DatasetStatistics, rows: Sequence[tuple[int, Sequence[Row]]]
    ) -> None:
        """Write that the first ``done`` parts are done, with the rows of the new ones."""
        texts = [(part, _packed(of)) for part, of in rows]
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.execute(
                "UPDATE scan SET parts = ?, statistics = ?", (done, to_text(statistics))
            )
            self._file.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", texts)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        self.done = done

    def rows(self) -> Iterator[list[Row]]:
        """Yield the rows of the parts that are done, in their order."""
        for (packed,) in self._file.execute("SELECT rows FROM rows ORDER BY part"):
            yield [row_of(record) for record in json.loads(zlib.decompress(packed))]

    def close(self) -> None:
        self._file.close()

    def _refusal(self, error: sqlite3.Error) -> NormvizError:
        text = str(error)
        if "locked" in text:
            return NormvizError(f"{self._path}: another scan is writing to this checkpoint.")
        return NormvizError(f"{self._path}: it cannot be used as a checkpoint ({text}). {_OTHER}")


_OTHER = "Name another file."


def _packed(rows: Sequence[Row]) -> bytes:
    return zlib.compress(json.dumps([row_record(row) for row in rows]).encode(), 1)
