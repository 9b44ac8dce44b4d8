"""One function for every kind of import: it recognises what it is given."""

from __future__ import annotations

import json
import re
from typing import Any

from normviz.errors import LimitError, ParameterError, ReadError
from normviz.imports import calls, hugging_face, keras, timm
from normviz.imports.caffe import read_binaryproto, read_mean_npy
from normviz.imports.found import Imported
from normviz.read.numpy_file import NPY_MAGIC

MOST_BYTES = 16 * 2**20
"""A mean image of 1,180×1,180 in float32; Caffe's of 256×256 takes 0.8 MB."""
MOST_TEXT = 2**18

EXPECTED = (
    "Caffe's mean.binaryproto",
    "a mean image as .npy",
    "Hugging Face's preprocessor_config.json",
    "timm's config.json",
    "Normalize(mean=…, std=…) of torchvision or Albumentations, as text or A.to_dict() JSON",
    "a config with mean = […] and std = […]",
    "a Keras mode (caffe, tf, torch) or architecture (ResNet50)",
)
"""What can be read, in words."""


def read_normalization(name: str, data: bytes | str, order: str = "") -> Imported:
    """Return the constants in a file or a text, converted to RGB fractions, with words on how.

    ``name`` is the file's, or what to call a text in messages. ``order`` ("RGB" or "BGR") says
    the channel order where the source does not; "" takes what is usual for its kind.

    Raises :class:`ReadError` that says what was expected, for anything that is not understood.

    >>> found = read_normalization("", "transforms.Normalize((0.5,) * 3, [127.5 / 255] * 3)")
    >>> found.numbers.fraction_std.tolist(), found.words[:24]
    ([0.5, 0.5, 0.5], 'torchvision Normalize: n')
    """
    if order not in ("", "RGB", "BGR"):
        raise ParameterError(f"the channel order is RGB or BGR; got {order!r}.")
    if len(data) > MOST_BYTES:
        raise LimitError(
            name,
            f"its {len(data) / 2**20:,.0f} MB are more than the {MOST_BYTES // 2**20} MB that a "
            "mean image or a config may have",
        )
    if isinstance(data, bytes):
        if not data:
            raise ReadError(name, "it is empty", _expected())
        if data.startswith(NPY_MAGIC):
            return read_mean_npy(name, data, order)
        text = _as_text(data)
        if name.lower().endswith(".binaryproto"):
            return read_binaryproto(name, data, order)
        if text is None:
            try:
                return read_binaryproto(name, data, order)
            except ReadError:
                raise ReadError(
                    name, "it is no text, and no mean image that is known here", _expected()
                ) from None
    else:
        text = data
    if len(text) > MOST_TEXT:
        raise LimitError(name, f"a text of {len(text):,} characters is longer than a config is")
    return _read_text(name, text.strip().lstrip("\ufeff"), order)


def _read_text(name: str, text: str, order: str) -> Imported:
    if text.startswith("{"):
        record = _json(name, text)
        if record is not None:
            return _from_json(name, record, order)
    found: Imported | None = None
    if len(text) < 80:
        found = keras.read_name(name, text)
    found = found or calls.read_text(name, text, order) or keras.read_code(name, text)
    if found is None:
        raise ReadError(name, "no mean and std were found in it", _expected())
    return found


def _json(name: str, text: str) -> dict[str, Any] | None:
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        if re.search(r"(?i)mean", text):
            # A Python dict, or a config in braces, is tried as text.
            return None
        said = "too deeply nested" if isinstance(error, RecursionError) else str(error)
        raise ReadError(name, f"it is not JSON ({said})", _expected()) from None
    return record if isinstance(record, dict) else None


def _from_json(name: str, record: dict[str, Any], order: str) -> Imported:
    if "__class_fullname__" in record or "transform" in record or "transforms" in record:
        return calls.from_albumentations(name, record, order)
    if hugging_face.is_config(record):
        return hugging_face.read_config(name, record)
    if timm.is_config(record):
        return timm.read_config(name, record)
    found = calls.read_record(name, record, order)
    if found is None:
        keys = ", ".join(str(key)[:30] for key in list(record)[:6])
        raise ReadError(
            name, f"it has no mean and std, but {keys or 'nothing at all'}", _expected()
        )
    return found


def _as_text(data: bytes) -> str | None:
    """The bytes as text, None where they are none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return None if re.search(r"[\x00-\x08\x0e-\x1f]", text[:100_000]) else text


def _expected() -> str:
    return f"Expected one of: {'; '.join(EXPECTED)}"
