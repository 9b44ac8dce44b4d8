"""Networks to show what a normalization does to: first layers, a trained one, any ONNX file."""

from normviz.networks.bundled import imagenet_labels, mobilenet_v2_network
from normviz.networks.first_layer import (
    FirstLayer,
    he_initialised,
    mobilenet_v2,
    mobilenet_v2_convolution,
    network_view,
    pre_activations,
    pre_activations_of,
)
from normviz.networks.graph import BatchNorm, ImageInput, Layer
from normviz.networks.network import Network, load
from normviz.networks.view import centre_view

__all__ = [
    "BatchNorm",
    "FirstLayer",
    "ImageInput",
    "Layer",
    "Network",
    "centre_view",
    "he_initialised",
    "imagenet_labels",
    "load",
    "mobilenet_v2",
    "mobilenet_v2_convolution",
    "mobilenet_v2_network",
    "network_view",
    "pre_activations",
    "pre_activations_of",
]
