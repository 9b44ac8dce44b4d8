"""Fitted methods to and from JSON: the parameters and plain numbers, nothing that runs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from normviz.errors import ParameterError, ShapeError
from normviz.methods.base import FORMAT, Fitted
from normviz.methods.registry import METHODS


def from_json(text: str) -> Fitted:
    """Return the fitted method that ``Fitted.to_json`` wrote.

    Raises :class:`ParameterError` for text that is no such record.

    >>> fitted = METHODS["scale_11"]().fit()
    >>> from_json(fitted.to_json()).method == fitted.method
    True
    """
    try:
        record: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"this is not JSON: {error}.") from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ParameterError(
            f'expected a fitted method with "format": "{FORMAT}", as Fitted.to_json() writes it.'
        )
    kind = METHODS.get(str(record.get("method")))
    if kind is None:
        raise ParameterError(f"unknown method {record.get('method')!r}.")
    try:
        method = kind(**record["parameters"])
        constants = {name: _array(stored) for name, stored in record["constants"].items()}
        fitted = Fitted(method, constants)
        _try(fitted)
    except ParameterError:
        raise
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        ShapeError,
        TypeError,
        ValueError,
    ) as error:
        raise ParameterError(f"the record of {kind.about.title} is damaged: {error}.") from None
    return fitted


def _try(fitted: Fitted) -> None:
    """Run on one grey pixel, so that missing or misshapen constants are found when read."""
    channels = fitted.method.fitted_channels(fitted.constants) or fitted.method.about.channels[0]
    with np.errstate(all="ignore"):
        done = fitted.reference(np.full((1, 1, channels), 0.5))
    if done.shape != (1, 1, channels) or not np.isfinite(done).all():
        raise ValueError("its constants do not fit the method")


def _array(stored: Any) -> np.ndarray:
    array = np.array(stored["values"], np.float64).reshape(stored["shape"])
    if not np.isfinite(array).all():
        raise ValueError("a constant is not finite")
    array.flags.writeable = False
    return array
