"""The shell: the same statistics, methods and page as everywhere else.

Exit codes: 0 done; 1 failed, or nothing could be read, or `compare --fail-above` was exceeded;
2 wrong usage; 3 done, but some inputs were unreadable (they are named on standard error);
130 interrupted.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Sequence

import PIL.Image

from normviz.cli import advise, app, apply, compare, inspect, methods, stats
from normviz.cli.progress import Stopped
from normviz.cli.words import DONE, FAILED, INTERRUPTED, PARTLY, USAGE, say
from normviz.errors import NormvizError, ParameterError
from normviz.version import VERSION

__all__ = ["DONE", "FAILED", "INTERRUPTED", "PARTLY", "USAGE", "main"]

_CODES = """exit codes: 0 done; 1 failed, nothing could be read, or compare --fail-above exceeded;
2 wrong usage; 3 done, but some inputs were unreadable (named on standard error); 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    >>> main(["apply", "photos.zip", "--method", "dataset_zscore"])
    2
    """
    parser = _parser()
    given = list(sys.argv[1:] if argv is None else argv)
    # Images over our own limit are refused in a sentence; Pillow's warning comes before it.
    warnings.filterwarnings("ignore", category=PIL.Image.DecompressionBombWarning)
    # A character that the terminal lacks is no reason to fail.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        asked, extra = parser.parse_known_args(given)
        if extra and asked.command != "app":
            parser.error(f"unknown arguments: {' '.join(extra)}")
    except SystemExit as stop:
        return int(stop.code or 0)
    asked.extra = [word for word in extra if word != "--"]
    try:
        code = asked.run(asked)
        sys.stdout.flush()
        return code
    except ParameterError as error:
        say(str(error))
        return USAGE
    except NormvizError as error:
        say(str(error))
        return FAILED
    except BrokenPipeError:
        # Whoever read the output has enough; Python must not complain again when it exits.
        if isinstance(sys.stdout, io.TextIOWrapper):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        say(f"{error.filename or 'a file'}: {error.strerror or error}.")
        return FAILED
    except KeyboardInterrupt as stop:
        # Workers would first finish what they were handed.
        for worker in multiprocessing.active_children():
            worker.terminate()
        say(str(stop) if isinstance(stop, Stopped) else "interrupted.")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="normviz",
        description="See and measure normalization.",
        epilog=_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"normviz {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(
        name: str,
        run: Callable[[argparse.Namespace], int],
        help: str,
        *examples: str,
        description: str = "",
    ) -> argparse.ArgumentParser:
        head = "example:  " if len(examples) == 1 else "examples:\n  "
        lines = "\n  ".join(f"python -m normviz {example}" for example in examples)
        made = commands.add_parser(
            name,
            help=help,
            description=description or help,
            epilog=f"{head}{lines}\n\n{_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.set_defaults(run=run)
        return made

    for room in (app, stats, compare, apply, inspect, advise, methods):
        room.add(command)
    return parser
