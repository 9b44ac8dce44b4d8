"""A process of the lab: ``python -m normviz.lab.worker``, started by :mod:`normviz.lab.workers`."""

from __future__ import annotations

import os
import pickle
import sys

import numpy  # noqa: F401 - so that its BLAS is there to be limited
from threadpoolctl import threadpool_limits


def main() -> None:
    # Records have the output to themselves; what anything prints goes to the error stream.
    records = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from normviz.lab.experiment import work_of

    with threadpool_limits(1):
        while True:
            try:
                task = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            try:
                for record in work_of(task):
                    pickle.dump(("record", record), records)
                    records.flush()
            except BrokenPipeError:
                return
            except Exception as error:
                pickle.dump(("error", _portable(error)), records)
            pickle.dump(("done", None), records)
            records.flush()


def _portable(error: Exception) -> Exception:
    """An error that arrives: one whose arguments are not its message cannot be rebuilt there."""
    from normviz.errors import NormvizError

    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        said = str(error) if isinstance(error, NormvizError) else f"{type(error).__name__}: {error}"
        return NormvizError(said)
    return error


if __name__ == "__main__":
    main()
