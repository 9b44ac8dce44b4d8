"""A scan's progress in a file, so that it goes on where it was stopped, killed even.

An SQLite database: a transaction is in the file as a whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from normviz.errors import NormvizError
from normviz.statistics.dataset import DatasetStatistics
from normviz.statistics.rows import Row
from normviz.statistics.stored import from_text, row_of, row_record, to_text

_TABLES = """
CREATE TABLE IF NOT EXISTS scan (only INTEGER PRIMARY KEY CHECK (only = 0), plan TEXT NOT NULL,
    parts INTEGER NOT NULL, statistics TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (part INTEGER PRIMARY KEY, rows TEXT NOT NULL);
"""


class Checkpoint:
    """The first parts of a plan that are done, and the statistics of their images.

    ``plan`` says what is measured and how, in words: a file that was begun under another plan is
    refused. Raises :class:`NormvizError` for a file that is no checkpoint.
    """

    def __init__(self, path: Path, plan: str) -> None:
        self._path = path
        try:
            self._file = sqlite3.connect(path, timeout=1, isolation_level=None)
            self._file.executescript(_TABLES)
            # Held until the end, so that two scans never write to one file.
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("BEGIN IMMEDIATE")
            found = self._file.execute("SELECT plan, parts, statistics FROM scan").fetchone()
            if found is None:
                empty = to_text(DatasetStatistics.empty())
                self._file.execute("INSERT INTO scan VALUES (0, ?, 0, ?)", (plan, empty))
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        if found is not None and found[0] != plan:
            self.close()
            raise NormvizError(
                f"{path}: this checkpoint is of another scan: other images, or measured in another "
                "way. Name another file, or delete this one."
            )
        self.done: int = found[1] if found else 0
        """How many parts are done, counted from the first."""
        self.statistics = from_text(found[2]) if self.done else None

    def record(
        self, done: int, statistics: DatasetStatistics, rows: Sequence[tuple[int, Sequence[Row]]]
    ) -> None:
        """Write that the first ``done`` parts are done, with the rows of the new ones."""
        texts = [(part, json.dumps([row_record(row) for row in of])) for part, of in rows]
        try:
            self._file.execute("BEGIN IMMEDIATE")
            self._file.execute(
                "UPDATE scan SET parts = ?, statistics = ?", (done, to_text(statistics))
            )
            self._file.executemany("INSERT INTO rows VALUES (?, ?)", texts)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        self.done = done

    def rows(self) -> Iterator[list[Row]]:
        """Yield the rows of the parts that are done, in their order."""
        for (text,) in self._file.execute("SELECT rows FROM rows ORDER BY part"):
            yield [row_of(record) for record in json.loads(text)]

    def close(self) -> None:
        self._file.close()

    def _refusal(self, error: sqlite3.Error) -> NormvizError:
        text = str(error)
        if "locked" in text:
            return NormvizError(f"{self._path}: another scan is writing to this checkpoint.")
        return NormvizError(
            f"{self._path}: it cannot be used as a checkpoint ({text}). Name another file."
        )
