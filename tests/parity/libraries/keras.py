"""Keras's layers and preprocessing functions, on float32."""

from __future__ import annotations

import os

import numpy as np

from tests.parity.case import Given, Library

os.environ.setdefault("KERAS_BACKEND", "torch")

LIBRARY = Library("Keras", "keras", "keras")


def in_layer(given: Given, name: str, *, training: bool | None = None, **options) -> np.ndarray:
    import keras

    layer = getattr(keras.layers, name)(**options)
    stack = given.x if given.x.ndim == 4 else given.x[np.newaxis]
    more = {} if training is None else {"training": training}
    done = layer(stack.astype(np.float32), **more)
    return keras.ops.convert_to_numpy(done).reshape(given.x.shape)


def preprocessed(given: Given, mode: str) -> np.ndarray:
    from keras.applications import imagenet_utils

    x = given.x.astype(np.float32)
    return imagenet_utils.preprocess_input(x, data_format="channels_last", mode=mode)


@LIBRARY.agrees("scale_01", 1e-6)
def rescaling(given: Given):
    """layers.Rescaling(1 / 255)"""
    return in_layer(given, "Rescaling", scale=1 / 255)


@LIBRARY.agrees("scale_11", 1e-6)
def rescaling_both(given: Given):
    """layers.Rescaling(1 / 127.5, offset=-1)"""
    return in_layer(given, "Rescaling", scale=1 / 127.5, offset=-1)


@LIBRARY.agrees("scale_11", 1e-6)
def mode_tf(given: Given):
    """imagenet_utils.preprocess_input(x, mode="tf")"""
    return preprocessed(given, "tf")


@LIBRARY.agrees("published", 1e-6)
def mode_torch(given: Given):
    """imagenet_utils.preprocess_input(x, mode="torch")"""
    return preprocessed(given, "torch")


@LIBRARY.agrees("published", 1e-6, preset="vgg", order="network")
def mode_caffe(given: Given):
    """imagenet_utils.preprocess_input(x, mode="caffe"), B, G, R"""
    return preprocessed(given, "caffe")


@LIBRARY.agrees("dataset_zscore", 1e-4)
def normalization(given: Given):
    """layers.Normalization(axis=-1), adapt(set)"""
    import keras

    layer = keras.layers.Normalization(axis=-1)
    layer.adapt(np.stack(given.on).astype(np.float32))
    return keras.ops.convert_to_numpy(layer(given.x[np.newaxis].astype(np.float32)))[0]


@LIBRARY.agrees("unit_l2", 1e-6)
def unit_normalization(given: Given):
    """layers.UnitNormalization(axis=(1, 2, 3))"""
    return in_layer(given, "UnitNormalization", axis=(1, 2, 3))


@LIBRARY.differs(
    "equalize", 0.002, "rounds to bytes", lambda given: np.rint(255 * given.ours) / 255
)
def equalization(given: Given):
    """layers.Equalization((0, 255))(x)"""
    return in_layer(given, "Equalization", value_range=(0, 255)) / 255


@LIBRARY.agrees("channel_min_max", 1e-6)
def auto_contrast(given: Given):
    """layers.AutoContrast((0, 255))(x)"""
    return in_layer(given, "AutoContrast", value_range=(0, 255)) / 255


def in_generator(given: Given, **options) -> np.ndarray:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(dtype="float64", **options)
    return generator.standardize(given.x.astype(np.float64))


@LIBRARY.agrees("image_mean", 1e-12)
def samplewise_center(given: Given):
    """ImageDataGenerator(samplewise_center=True).standardize(x)"""
    return in_generator(given, samplewise_center=True)


@LIBRARY.differs(
    "image_standardize",
    1.9e-8,
    "adds 1e-6 to the std: of levels here, 255 times as much of fractions",
    lambda given: (given.x - given.x.mean()) / (given.x.std() + 1e-6),
    within=1e-12,
)
def samplewise_std(given: Given):
    """ImageDataGenerator(samplewise_center=True, samplewise_std_normalization=True)"""
    return in_generator(given, samplewise_center=True, samplewise_std_normalization=True)


PLAIN = {"center": False, "scale": False}


@LIBRARY.agrees("batch_norm", 2e-6, epsilon=1e-3)
def batch_normalization(given: Given):
    """layers.BatchNormalization(center=False, scale=False)(x, training=True)"""
    return in_layer(given, "BatchNormalization", training=True, **PLAIN)


@LIBRARY.agrees("layer_norm", 2e-6, over="c", epsilon=1e-3)
def layer_normalization(given: Given):
    """layers.LayerNormalization(center=False, scale=False)"""
    return in_layer(given, "LayerNormalization", **PLAIN)


@LIBRARY.agrees("layer_norm", 2e-6, epsilon=1e-3)
def layer_normalization_of_maps(given: Given):
    """layers.LayerNormalization(axis=(1, 2, 3), center=False, scale=False)"""
    return in_layer(given, "LayerNormalization", axis=(1, 2, 3), **PLAIN)


@LIBRARY.agrees("instance_norm", 2e-6, epsilon=1e-3)
def group_normalization_of_channels(given: Given):
    """layers.GroupNormalization(groups=-1, center=False, scale=False)"""
    return in_layer(given, "GroupNormalization", groups=-1, **PLAIN)


@LIBRARY.agrees("group_norm", 2e-6, epsilon=1e-3, groups=8)
def group_normalization(given: Given):
    """layers.GroupNormalization(8, center=False, scale=False)"""
    return in_layer(given, "GroupNormalization", groups=8, **PLAIN)


@LIBRARY.agrees("rms_norm", 2e-6)
def rms_normalization(given: Given):
    """layers.RMSNormalization()"""
    return in_layer(given, "RMSNormalization")
