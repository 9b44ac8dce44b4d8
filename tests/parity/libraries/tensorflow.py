"""TensorFlow's tf.image and tf.nn, on float32."""

from __future__ import annotations

import numpy as np

from tests.parity.case import Given, Library

LIBRARY = Library("TensorFlow", "tensorflow-cpu", "tensorflow")


@LIBRARY.agrees("scale_01", 1e-6)
def convert_image_dtype(given: Given):
    """tf.image.convert_image_dtype(x, tf.float32)"""
    import tensorflow as tf

    return tf.image.convert_image_dtype(given.x, tf.float32).numpy()


@LIBRARY.agrees("image_standardize", 1e-6)
def per_image_standardization(given: Given):
    """tf.image.per_image_standardization(x)"""
    import tensorflow as tf

    return tf.image.per_image_standardization(given.x).numpy()


@LIBRARY.differs(
    "gcn",
    9.6e-7,
    "takes the std with N, not N − 1",
    lambda given: (given.x - given.x.mean()) / given.x.std(),
    within=2e-7,
    bias=0.0,
)
def per_image_standardization_as_gcn(given: Given):
    """tf.image.per_image_standardization(x)"""
    return per_image_standardization(given)


@LIBRARY.agrees("gamma", 1e-6, gamma=0.45)
def adjust_gamma(given: Given):
    """tf.image.adjust_gamma(u, 0.45)"""
    import tensorflow as tf

    return tf.image.adjust_gamma(given.u.astype(np.float32), 0.45).numpy()


@LIBRARY.agrees("unit_l2", 1e-6)
def l2_normalize(given: Given):
    """tf.math.l2_normalize(x)"""
    import tensorflow as tf

    return tf.math.l2_normalize(given.x.astype(np.float32)).numpy()


@LIBRARY.agrees("lrn", 1e-6)
def local_response_normalization(given: Given):
    """tf.nn.local_response_normalization(x, depth_radius=2, bias=2, alpha=1e-4, beta=0.75)"""
    import tensorflow as tf

    x = given.x[np.newaxis].astype(np.float32)
    return tf.nn.local_response_normalization(x, 2, 2.0, 1e-4, 0.75)[0].numpy()


@LIBRARY.agrees("batch_norm", 1e-6)
def batch_normalization(given: Given):
    """tf.nn.batch_normalization(x, *tf.nn.moments(x, (0, 1, 2)), None, None, 1e-5)"""
    import tensorflow as tf

    x = given.x.astype(np.float32)
    mean, variance = tf.nn.moments(x, (0, 1, 2))
    return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-5).numpy()
