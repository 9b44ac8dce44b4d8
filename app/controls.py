"""Widgets, each bound to its row of the key table; a parameter's widget follows from its field."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.keys import Key, parameter_key
from app.text import plain
from normviz.errors import ParameterError
from normviz.methods import FEATURE_NORMS, METHODS, FeatureNorm, Method
from normviz.methods.clahe import CLAHE
from normviz.networks.stacks import Stack

Kind = TypeVar("Kind", Method, FeatureNorm, Stack)


def _bound(key: Key) -> dict[str, Any]:
    return {"key": key.name, "bind": "query-params" if key.shareable else None}


def choice(key: Key, label: str, options: Mapping[Any, str], help: str | None = None) -> Any:
    """One of a few options, all in sight."""
    value = st.segmented_control(
        label,
        list(options),
        format_func=lambda option: options.get(option, str(option)),
        default=key.default,
        required=True,
        help=help,
        wrap=True,
        **_bound(key),
    )
    return value if value in options else key.default


def menu(key: Key, label: str, options: Mapping[Any, str], help: str | None = None) -> Any:
    """One of many options."""
    names = list(options)
    default = key.default if key.default in options else names[0]
    first = names.index(default)
    if st.session_state.get(key.name, default) not in options:
        # An option that went: Streamlit shows another then, but leaves this one in the address.
        st.session_state[key.name], first = default, 0
    value = st.selectbox(
        label,
        names,
        index=first,
        format_func=lambda option: options.get(option, str(option)),
        help=help,
        **_bound(key),
    )
    return value if value in options else default


def several(
    key: Key, label: str, options: Mapping[Any, str], most: int, help: str | None = None
) -> list[Any]:
    """Some of many options, in the order of the table."""
    chosen = st.multiselect(
        label,
        list(options),
        default=[name for name in key.default if name in options],
        format_func=lambda option: options.get(option, str(option)),
        max_selections=most,
        help=help,
        **_bound(key),
    )
    return [name for name in options if name in chosen][:most]


def slider(
    key: Key,
    label: str,
    low: float,
    high: float,
    step: float,
    help: str | None = None,
    format: str | None = None,
) -> Any:
    """A number within bounds; what the browser sends is clipped to them."""
    kind = type(key.default)
    value = st.slider(
        label,
        kind(low),
        kind(high),
        value=key.default,
        step=kind(step),
        format=format,
        help=help,
        **_bound(key),
    )
    return min(max(kind(value), kind(low)), kind(high))


def switch(key: Key, label: str, help: str | None = None) -> bool:
    """On or off."""
    return bool(st.toggle(label, value=key.default, help=help, **_bound(key)))


def whole(key: Key, label: str, low: int, high: int, help: str | None = None) -> int:
    """A whole number, typed or stepped; one chosen under wider bounds is brought within these."""
    if (chosen := st.session_state.get(key.name)) is not None and not low <= chosen <= high:
        st.session_state[key.name] = min(max(chosen, low), high)
    value = st.number_input(
        label, low, high, value=max(low, min(high, key.default)), help=help, **_bound(key)
    )
    return min(max(int(value), low), high)


def configured(name: str, places: Sequence[DeltaGenerator] = ()) -> Method:
    """The method ``name`` with the parameters that its widgets hold, drawing those widgets.

    ``places`` are filled in turn, one widget each; without them the widgets stand below each other.
    """
    return _configured(METHODS[name], name, places)


def configured_norm(name: str, places: Sequence[DeltaGenerator] = ()) -> FeatureNorm:
    """The same for a normalization of feature maps."""
    return _configured(FEATURE_NORMS[name], name, places)


def configured_stack() -> Stack:
    """The random stack that its widgets hold, drawing those widgets."""
    return _configured(Stack, "stack", ())


def _configured(kind: type[Kind], name: str, places: Sequence[DeltaGenerator]) -> Kind:
    values = {}
    for at, field in enumerate(dataclasses.fields(kind)):
        with places[at % len(places)] if places else contextlib.nullcontext():
            values[field.name] = _parameter(name, field)
    try:
        return kind(**values)
    except ParameterError as error:
        st.warning(f"{error} The default is used instead.")
        return kind()


def _parameter(method: str, field: dataclasses.Field) -> Any:
    facts = field.metadata
    key = dataclasses.replace(parameter_key(method, field.name), default=field.default)
    label = f"{facts['label']} ({facts['unit']})" if facts["unit"] else facts["label"]
    if facts["choices"] is not None:
        pick: Callable[..., Any] = choice if len(facts["choices"]) <= 3 else menu
        return pick(key, label, facts["choices"], facts["help"])
    if isinstance(field.default, bool):
        return switch(key, label, facts["help"])
    if isinstance(field.default, int) and facts["high"] <= 256:
        return slider(key, label, facts["low"], facts["high"], facts["step"], facts["help"])
    if isinstance(field.default, int):
        return whole(key, label, facts["low"], facts["high"], facts["help"])
    if (facts["low"] > 0 and facts["high"] / facts["low"] > 1000) or facts["step"] < 0.001:
        return _number(key, label, facts)
    return slider(key, label, facts["low"], facts["high"], facts["step"], facts["help"])


def _number(key: Key, label: str, facts: Mapping[str, Any]) -> float:
    value = st.number_input(
        label,
        facts["low"],
        facts["high"],
        value=key.default,
        step=facts["step"],
        format="%.3g",
        help=facts["help"],
        **_bound(key),
    )
    return min(max(float(value), facts["low"]), facts["high"])


def _moved(method: str) -> bool:
    """Whether the page's address or a visitor gave a parameter a value that is not its default."""
    for field in dataclasses.fields(METHODS[method]):
        name = parameter_key(method, field.name).name
        given = st.session_state.get(name, field.default)
        if name in st.query_params or given != field.default:
            return True
    return False


def parameters_of(names: Sequence[str]) -> dict[str, Method]:
    """Draw the parameters of the chosen methods, and return the methods so configured."""
    done: dict[str, Method] = {}
    adjustable = [name for name in names if dataclasses.fields(METHODS[name])]
    if adjustable:
        place = st.expander("Parameters", key="parameters", on_change="rerun")
        # Widgets that nobody sees would cost the first screen a tenth of a second; those that were
        # moved are drawn out of sight too, since a widget that is not drawn loses its value.
        drawn = adjustable if place.open or any(map(_moved, adjustable)) else []
        with place:
            for name in drawn:
                about = METHODS[name].about
                st.markdown(f"**{plain(about.short)}**", help=about.title)
                done[name] = method = configured(name)
                if isinstance(method, CLAHE):
                    st.caption(plain(method.limit_sentence(512, 512)))
    return {name: done.get(name) or METHODS[name]() for name in names}
