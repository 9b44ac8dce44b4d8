"""Networks to show what a normalization does to: for now, their first layers."""

from normviz.networks.first_layer import (
    FirstLayer,
    he_initialised,
    mobilenet_v2,
    mobilenet_v2_convolution,
    network_view,
    pre_activations,
    pre_activations_of,
)

__all__ = [
    "FirstLayer",
    "he_initialised",
    "mobilenet_v2",
    "mobilenet_v2_convolution",
    "network_view",
    "pre_activations",
    "pre_activations_of",
]
