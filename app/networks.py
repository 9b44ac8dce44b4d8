"""The visitor's choice of a network: the bundled one, a random stack, or an ONNX file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import streamlit as st

from app import keys
from app.cached import remembered
from app.controls import choice, configured_stack, menu, switch, whole
from app.text import plain
from normviz.errors import NormvizError
from normviz.lab import NORMALIZATIONS, PHOTO_PATCHES
from normviz.lab.as_network import STEPS, trained_network
from normviz.networks import Network, mobilenet_v2_network
from normviz.networks.graph import LAYOUTS, HintError
from normviz.networks.onnx_file import open_onnx
from normviz.networks.trial import tried

NETWORKS = {
    "mobilenet_v2": "MobileNetV2, trained on ImageNet",
    "lab": "The lab's small net, trained now",
    "stack": "A random stack, as before training",
    "upload": "My ONNX file",
}


_SMALL = ("lab", "stack")
"""Networks that were trained on nothing, or on a few patches."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A network, what to say of it, and the preset it was trained with where that is known.

    ``of_batch`` makes the network that normalizes with the statistics of a batch ``(N, H, W, C)``,
    for networks in which they decide.
    """

    key: str
    network: Network
    words: str
    trained: str | None = None
    trained_words: str = ""
    of_batch: Callable[[np.ndarray], Network] | None = None


def pick_network(stacks: bool = True) -> Chosen | None:
    """Draw the picker and return what is chosen, or None while something is missing.

    Without ``stacks`` only networks trained on photos at large, and files, are offered.
    """
    options = {name: title for name, title in NETWORKS.items() if stacks or name not in _SMALL}
    _as_on_the_last_page(options)
    kind = menu(keys.NETWORK, "Network", options, "Which network is looked at.")
    st.session_state[keys.LAST_NETWORK.name] = kind
    if kind == "stack":
        return _stack()
    if kind == "upload":
        return _uploaded()
    if kind == "lab":
        return _of_the_lab()
    return Chosen(
        "mobilenet_v2",
        mobilenet_v2_network(),
        "MobileNetV2 as torchvision trained it on ImageNet (weights rounded to float16).",
        "imagenet",
        "ImageNet's constants",
    )


def _as_on_the_last_page(options: Mapping[str, str]) -> None:
    """Begin with the network of the page before: Streamlit forgets what a page's widgets held."""
    name = keys.NETWORK.name
    last = st.session_state.get(keys.LAST_NETWORK.name)
    if last in options and name not in st.session_state and name not in st.query_params:
        st.session_state[name] = last


def _of_the_lab() -> Chosen:
    key = menu(
        keys.LAB_TRAINED,
        "Trained under",
        {name: one.title for name, one in NORMALIZATIONS.items()},
        "What its training images were normalized by.",
    )
    norm = switch(keys.LAB_NORM, "Batch norm", "Behind both of its convolutions.")
    network = remembered(
        ("lab network", key, norm), lambda: trained_network(key, PHOTO_PATCHES, norm)
    )
    return Chosen(
        f"lab:{key}:{norm}",
        network,
        f"The lab's small net{' with batch norm' if norm else ''}, trained for {STEPS} steps on "
        f"16 × 16 px patches of ten photos under “{NORMALIZATIONS[key].title}”, in light spread by "
        "1 EV; a class is a photo.",
    )


def _stack() -> Chosen:
    with st.popover("Its parameters", width="stretch"):
        stack = configured_stack()
    # The layers' names and the side are those of any normalization.
    bare = dataclasses.replace(stack, normalization="none")
    growth = stack.growth
    words = (
        ""
        if growth is None
        else " Averaged over random draws, the mean square of its pre-activations is "
        f"{'the same in every layer' if growth == 1 else f'multiplied by {growth:.3g} a layer'}."
    )
    if stack.normalization != "batch":
        network = remembered(("stack", stack), stack.network)
        return Chosen(f"{stack}", network, f"{stack.title}, seed {stack.seed}.{words}")
    return Chosen(
        f"{stack}",
        remembered(("stack", bare), bare.network),
        f"{stack.title}, seed {stack.seed}; its batch is these images under one method in one "
        "light.",
        of_batch=stack.network,
    )


def _uploaded() -> Chosen | None:
    st.file_uploader(
        "ONNX file",
        key=keys.NETWORK_FILE.name,
        help="A network that takes one batch of images. Of other formats it is said how to export "
        "them. It is kept in this server's memory and dropped with the session.",
        on_change=_keep,
    )
    kept = st.session_state.get(keys.KEPT_NETWORK.name)
    if kept is None:
        st.caption("The network's layers are found in the file; nothing else is needed.")
        return None
    name, data = kept
    if st.session_state.get(keys.NETWORK_FILE.name) is None:
        st.caption(plain(f"{name}, as uploaded before."))
    digest = blake2b(data, digest_size=16).hexdigest()
    try:
        model = remembered(("onnx", digest), lambda: open_onnx(data, name))
        hints: dict[str, Any] = {}
        while True:
            try:
                network = Network(model, name, **hints)
                break
            except HintError as error:
                hints[error.asks] = _hint(error)
        # What does not run within the limits is found out where it harms nobody.
        with st.spinner("Trying the network on one image, in a process of its own…"):
            remembered(("tried", digest, f"{hints}"), lambda: tried(data, name, **hints))
    except NormvizError as error:
        st.warning(plain(str(error)))
        return None
    return Chosen(f"{digest}:{hints}", network, f"Your {name}: {network.input.words()}.")


def _keep() -> None:
    """Keep the file for the other pages; a file that is taken away is kept no longer."""
    file = st.session_state[keys.NETWORK_FILE.name]
    st.session_state[keys.KEPT_NETWORK.name] = file and (file.name, file.getvalue())


def _hint(error: HintError) -> Any:
    """Ask for what the file leaves open."""
    if error.asks == "layout":
        return choice(
            keys.NETWORK_LAYOUT,
            "Layout",
            {name: name for name in LAYOUTS},
            f"Channels first or last: {error.reason}.",
        )
    side = whole(keys.NETWORK_SIZE, "Side (px)", 8, 1024, f"Height and width: {error.reason}.")
    return side, side
