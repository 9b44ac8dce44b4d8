"""`normviz methods`: the names that the other commands take."""

from __future__ import annotations

import argparse
import dataclasses
import json

from normviz.cli.arguments import AddCommand
from normviz.cli.words import DONE
from normviz.methods import METHODS


def add(command: AddCommand) -> None:
    methods = command("methods", run, "list the methods and their parameters", "methods")
    methods.add_argument("--json", action="store_true", help="print JSON")


def run(asked: argparse.Namespace) -> int:
    if asked.json:
        listed = [
            {
                "name": name,
                "title": kind.about.title,
                "scope": kind.about.scope,
                "parameters": {f.name: f.default for f in dataclasses.fields(kind)},
            }
            for name, kind in METHODS.items()
        ]
        print(json.dumps(listed, indent=1, ensure_ascii=False))
        return DONE
    for name, kind in METHODS.items():
        set_by = ", ".join(f"{f.name}={f.default}" for f in dataclasses.fields(kind))
        print(f"{name:26}{kind.about.scope:9}{kind.about.title}" + (f"  ({set_by})" * bool(set_by)))
    return DONE
