"""The visitor's choice of a network."""

from __future__ import annotations

from dataclasses import dataclass

from app import keys
from app.controls import menu
from normviz.networks import Network, mobilenet_v2_network

NETWORKS = {"mobilenet_v2": "MobileNetV2, trained on ImageNet"}


@dataclass(frozen=True, eq=False)
class Chosen:
    """A network, what to say of it, and the preset it was trained with where that is known."""

    key: str
    network: Network
    words: str
    trained: str | None = None
    trained_words: str = ""


def pick_network() -> Chosen | None:
    """Draw the picker and return what is chosen, or None while something is missing."""
    menu(keys.NETWORK, "Network", NETWORKS, "Whose layers are measured.")
    return Chosen(
        "mobilenet_v2",
        mobilenet_v2_network(),
        "MobileNetV2 as torchvision trained it on ImageNet (weights rounded to float16).",
        "imagenet",
        "ImageNet's constants",
    )
