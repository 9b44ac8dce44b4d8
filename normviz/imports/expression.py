"""Numbers written as Python, worked out without running anything."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any

from normviz.imports.assigned import Assignments, Place
from normviz.presets import PRESETS

_MOST_NUMBERS = 16
_MOST_NODES = 500
_MOST_STEPS = 5000
_MOST_LOOKUPS = 40
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SCALARS = {"float", "float16", "float32", "float64"}
_WRAPPERS = {"array", "asarray", "tensor", "as_tensor", "FloatTensor", "Tensor", "tuple", "list"}
_ARRAYS = _WRAPPERS - {"tuple", "list"}

_NAMED = {
    "IMAGENET_DEFAULT": "imagenet",
    "IMAGENET_STANDARD": "half",
    "IMAGENET_INCEPTION": "half",
    "IMAGENET_DPN": "dpn",
    "OPENAI_CLIP": "clip",
    "OPENAI_DATASET": "clip",
    "IMAGENET": "imagenet",
}
NAMES: Mapping[str, tuple[float, ...]] = {
    f"{name}_{which.upper()}": getattr(PRESETS[key], which)
    for name, key in _NAMED.items()
    for which in ("mean", "std")
}
"""Constants that timm, OpenCLIP and Hugging Face import by name."""


class _Array(tuple):
    """A list that arithmetic goes through number by number."""


def parsed_call(
    text: str, assigned: Assignments | None = None, start: int = 0
) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of "(…)" as plain values: numbers, tuples of them, strings, None.

    A name has the value that ``assigned`` gives it before the call at ``start`` (or else behind
    it), and only without one the value that libraries give it.

    Raises :class:`ValueError` that says what cannot be worked out.

    >>> parsed_call("([x / 255 for x in (51, 102)], std=[0.5] * 3)")
    ([(0.2, 0.4)], {'std': (0.5, 0.5, 0.5)})
    >>> parsed_call("(m, OPENAI_CLIP_STD)", Assignments("m = 0.1 + 0.4\\nNormalize(m)"), 13)[0]
    [0.5, (0.26862954, 0.26130258, 0.27577711)]
    """
    call = _parsed(f"f{text}")
    assert isinstance(call, ast.Call)
    try:
        return _arguments(call, _Reader(assigned or Assignments(""), start))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _arguments(call: ast.Call, reader: _Reader) -> tuple[list[Any], dict[str, Any]]:
    plain: list[Any] = []
    for arg in call.args:
        plain += reader.unpacked(arg) if isinstance(arg, ast.Starred) else [reader.value(arg)]
    named: dict[str, Any] = {}
    for word in call.keywords:
        if word.arg:
            named[word.arg] = reader.value(word.value)
        else:
            named.update(reader.unpacked_names(word.value))
    return plain, named


def parsed_value(text: str) -> Any:
    """Return the value of one expression; see :func:`parsed_call`.

    >>> parsed_value("123.675 / 255")
    0.485
    """
    return _Reader(Assignments("")).value(_parsed(text))


def numbers_in(value: Any) -> tuple[float, ...] | None:
    """Return a number or a list of numbers as a tuple of floats, None for anything else."""
    listed = value if isinstance(value, (tuple, list)) else (value,)
    if not 1 <= len(listed) <= _MOST_NUMBERS:
        return None
    if any(isinstance(one, bool) or not isinstance(one, (int, float)) for one in listed):
        return None
    try:
        done = tuple(map(float, listed))
    except OverflowError:
        return None
    return done if all(map(math.isfinite, done)) else None


def balanced(text: str, start: int) -> str:
    """Return the bracket that opens at ``start`` up to its end; "" where it does not end."""
    depth, quote = 0, ""
    for position in range(start, len(text)):
        letter = text[position]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
            if depth == 0:
                return text[start : position + 1]
    return ""


def _parsed(text: str) -> ast.expr:
    for attempt in (text, re.sub(r"(?<=[\d.])\s+(?=[-\d.])", ", ", text)):
        # NumPy prints a list without commas; the second attempt puts them in.
        try:
            tree = ast.parse(attempt.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        if sum(1 for _ in ast.walk(tree)) > _MOST_NODES:
            raise ValueError("it is longer than a mean and a std need")
        return tree.body
    raise ValueError("it is not written as Python")


def _statement(text: str) -> ast.stmt | None:
    """The one statement in the text, None where it is not written as Python, or too long."""
    try:
        found = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if len(found) != 1 or sum(1 for _ in ast.walk(found[0])) > _MOST_NODES:
        return None
    return found[0]


class _Reader:
    """Works expressions out in a bounded number of steps: loops within loops multiply."""

    def __init__(self, assigned: Assignments, start: int = 0) -> None:
        self._assigned = assigned
        self._start = start
        self._above: list[Place] = []
        """The statements that are being worked out, each for the one after it."""
        self._steps = 0
        self._lookups = 0

    def unpacked(self, starred: ast.Starred) -> tuple:
        """Return what ``*stats`` stands for."""
        try:
            value = self.value(starred.value)
        except ValueError:
            value = None
        if not isinstance(value, tuple):
            raise ValueError("it unpacks a variable with *")
        return value

    def unpacked_names(self, node: ast.expr) -> dict[str, Any]:
        """Return what ``**stats`` stands for."""
        try:
            value = self.value(node)
        except ValueError:
            value = None
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise ValueError("it unpacks a variable with **")
        return value

    def value(self, node: ast.expr, names: Mapping[str, Any] = {}) -> Any:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise ValueError("it takes longer to work out than a mean and a std do")
        match node:
            case ast.Constant(value):
                return value
            case ast.Name(name):
                if name in names:
                    return names[name]
                if place := self._place(name):
                    return self._assigned_to(name, place)
                if name in NAMES:
                    return NAMES[name]
                raise ValueError(f"it uses the variable {name}, whose value is not in the text")
            case ast.Attribute(attr=name):
                # A constant of a class is assigned without the name of the class.
                own = (ast.unparse(node), *([name] if name.isupper() else []))
                for one in own:
                    if place := self._place(one):
                        return self._assigned_to(one, place)
                if name in NAMES:
                    return NAMES[name]
                raise ValueError(f"it uses {name}, whose value is not in the text")
            case ast.Dict(keys, values) if len(keys) <= _MOST_NUMBERS:
                words = [key.value for key in keys if isinstance(key, ast.Constant)]
                if len(words) == len(keys):
                    done = (self.value(one, names) for one in values)
                    return dict(zip(words, done, strict=True))
            case ast.Subscript(held, ast.Constant(key)):
                whole = self.value(held, names)
                try:
                    return whole[key]
                except (LookupError, TypeError):
                    raise ValueError(f"it takes {str(key)[:20]!r} of what has none") from None
            case ast.UnaryOp(ast.USub(), operand):
                return _combined(0, ast.Sub(), self.value(operand, names))
            case ast.UnaryOp(ast.UAdd(), operand):
                return _combined(0, ast.Add(), self.value(operand, names))
            case ast.List(elts) | ast.Tuple(elts):
                return _short(self.value(one, names) for one in elts[: _MOST_NUMBERS + 1])
            case ast.ListComp(elt, [loop]) | ast.GeneratorExp(elt, [loop]):
                return self._looped(elt, loop, names)
            case ast.Call(func, [first, *_]):
                word = getattr(func, "attr", getattr(func, "id", ""))
                if word == "reshape" and isinstance(func, ast.Attribute):
                    return self.value(func.value, names)
                if word not in _WRAPPERS | _SCALARS:
                    raise ValueError(f"it calls {word or 'a function'}(), which is not run here")
                inner = self.value(first, names)
                return _Array(inner) if word in _ARRAYS and isinstance(inner, tuple) else inner
            case ast.BinOp(left, sign, right):
                return _combined(self.value(left, names), sign, self.value(right, names))
        raise ValueError("it holds more than numbers, lists and arithmetic")

    def _place(self, name: str) -> Place | None:
        if self._above:
            return self._assigned.place(name, self._above[-1].start)
        return self._assigned.place(name, self._start, after=True)

    def _assigned_to(self, name: str, place: Place) -> Any:
        """The value that the statement at ``place`` gives ``name``."""
        self._lookups += 1
        if self._lookups > _MOST_LOOKUPS:
            raise ValueError("it takes longer to work out than a mean and a std do")
        self._above.append(place)
        try:
            return self._given(name, _statement(self._assigned.statement(place)))
        except ValueError:
            # The text's own value, unreadable as it is, comes before a library's all the same.
            raise ValueError(
                f"it uses the variable {name}, whose value is not in the text"
            ) from None
        finally:
            self._above.pop()

    def _given(self, name: str, statement: ast.stmt | None) -> Any:
        targets: list[ast.expr] = []
        match statement:
            case ast.Assign(targets, value):
                pass
            case ast.AnnAssign(target, value=ast.expr() as value):
                targets = [target]
            case ast.AugAssign(target, sign, value) if ast.unparse(target) == name:
                if before := self._place(name):
                    return _combined(self._assigned_to(name, before), sign, self.value(value))
        for one in targets:
            if ast.unparse(one) == name:
                return self.value(value)
            if isinstance(one, (ast.Tuple, ast.List)):
                listed = [ast.unparse(each) for each in one.elts]
                if name in listed:
                    return self._item(value, listed.index(name), len(listed))
        raise ValueError("it is assigned in a way that is not understood")

    def _item(self, node: ast.expr, index: int, count: int) -> Any:
        """One of the ``count`` values of ``mean, std = …``; the others may be of any kind."""
        if isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == count:
            return self.value(node.elts[index])
        whole = self.value(node)
        if not isinstance(whole, tuple) or len(whole) != count:
            raise ValueError(f"it unpacks {count} values from something else")
        return whole[index]

    def _looped(self, elt: ast.expr, loop: ast.comprehension, names: Mapping[str, Any]) -> Any:
        if loop.ifs or not isinstance(loop.target, ast.Name):
            raise ValueError("it holds a loop that is not understood")
        over = self.value(loop.iter, names)
        if not isinstance(over, tuple):
            raise ValueError("it loops over something that is no list of numbers")
        own = loop.target.id
        return _short(self.value(elt, {**names, own: one}) for one in over)


def _combined(left: Any, sign: ast.operator, right: Any) -> Any:
    if type(sign) not in _ARITHMETIC:
        raise ValueError("it holds an operation other than + − × ÷")
    for one, other in ((left, right), (right, left)):
        # [0.5] * 3 repeats a list, np.array([0.5]) * 3 multiplies it.
        if type(one) is tuple and type(other) is int and isinstance(sign, ast.Mult):
            if not 0 < other * len(one) <= _MOST_NUMBERS:
                raise ValueError("it repeats a list too often")
            return one * other

    def do(a: Any, b: Any) -> float:
        if not all(isinstance(number, (int, float)) for number in (a, b)):
            raise ValueError("it calculates with something that is no number")
        try:
            return _ARITHMETIC[type(sign)](a, b)
        except ArithmeticError:
            raise ValueError("its arithmetic has no result") from None

    if isinstance(left, tuple) and isinstance(right, tuple):
        if len(left) != len(right):
            raise ValueError("it combines lists of different lengths")
        return _Array(do(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, tuple):
        return _Array(do(a, right) for a in left)
    if isinstance(right, tuple):
        return _Array(do(left, b) for b in right)
    return do(left, right)


def _short(values: Iterable[Any]) -> tuple:
    listed = tuple(values)
    if len(listed) > _MOST_NUMBERS:
        raise ValueError("it holds a list that is longer than any image has channels")
    return listed
