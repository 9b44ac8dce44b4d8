"""OpenCV, which is always installed."""

from __future__ import annotations

import cv2
import numpy as np

from tests.parity.case import Given, Library

LIBRARY = Library("OpenCV", "opencv-python-headless", "cv2")
MIRRORED = cv2.BORDER_REFLECT_101


def rows(x: np.ndarray) -> np.ndarray:
    """All values of a row side by side: OpenCV's norms take no channels."""
    return x.reshape(len(x), -1)


@LIBRARY.agrees("scale_01", 1e-6)
def fractions(given: Given):
    """dnn.blobFromImage(x, 1 / 255)"""
    return cv2.dnn.blobFromImage(given.x, 1 / 255)[0].transpose(1, 2, 0)


@LIBRARY.agrees("dataset_mean", 1e-6)
def mean_subtracted(given: Given):
    """dnn.blobFromImage(x, 1, mean=MEAN)"""
    mean = np.mean(given.on, axis=(0, 1, 2))
    return cv2.dnn.blobFromImage(given.x, 1.0, mean=mean.tolist())[0].transpose(1, 2, 0)


@LIBRARY.agrees("min_max", 1e-6)
def normalize_minmax(given: Given):
    """normalize(x, None, 1, 0, NORM_MINMAX, CV_32F)"""
    done = cv2.normalize(rows(given.x), None, 1.0, 0.0, cv2.NORM_MINMAX, cv2.CV_32F)
    return done.reshape(given.x.shape)


@LIBRARY.agrees("unit_l2", 1e-6)
def normalize_l2(given: Given):
    """normalize(x, None, 1, 0, NORM_L2, CV_32F)"""
    done = cv2.normalize(rows(given.x), None, 1.0, 0.0, cv2.NORM_L2, cv2.CV_32F)
    return done.reshape(given.x.shape)


@LIBRARY.agrees("unit_max", 1e-6)
def normalize_inf(given: Given):
    """normalize(x, None, 1, 0, NORM_INF, CV_32F)"""
    done = cv2.normalize(rows(given.x), None, 1.0, 0.0, cv2.NORM_INF, cv2.CV_32F)
    return done.reshape(given.x.shape)


@LIBRARY.agrees("image_channel_standardize", 1e-11)
def mean_std_dev(given: Given):
    """mean, std = meanStdDev(x); (x − mean) / std"""
    mean, std = (found.ravel() for found in cv2.meanStdDev(given.x))
    return (given.x - mean) / std


@LIBRARY.differs(
    "equalize",
    0.002,
    "rounds to bytes",
    lambda given: np.rint(255 * given.ours) / 255,
)
def equalize_hist(given: Given):
    """equalizeHist(plane), a channel at a time"""
    return cv2.merge([cv2.equalizeHist(plane) for plane in given.planes]) / 255


@LIBRARY.agrees("equalize", 1e-6, of="luma")
def equalize_luma(given: Given):
    """equalizeHist(Y) of cvtColor(x, COLOR_RGB2YCrCb), and back"""
    ycc = cv2.cvtColor(given.x, cv2.COLOR_RGB2YCrCb)
    ycc[..., 0] = cv2.equalizeHist(ycc[..., 0])
    return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB) / 255


@LIBRARY.agrees("clahe", 1e-6)
def clahe_on_lab(given: Given):
    """createCLAHE(2, (8, 8)).apply(L) of cvtColor(x, COLOR_RGB2LAB), and back"""
    lab = cv2.cvtColor(given.x, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) / 255


@LIBRARY.agrees("lcn_subtractive", 1e-9)
def blur_subtracted(given: Given):
    """u − GaussianBlur(mean of channels, (9, 9), 9 / 4)"""
    wide = cv2.GaussianBlur(given.u.mean(axis=2), (9, 9), 9 / 4, borderType=MIRRORED)
    return given.u - wide[..., np.newaxis]


@LIBRARY.agrees("local_standardize", 1e-12)
def box_standardized(given: Given):
    """boxFilter and sqrBoxFilter in float64, 15 × 15"""
    size = (15, 15)
    mean = cv2.boxFilter(given.u, -1, size, borderType=MIRRORED)
    square = cv2.sqrBoxFilter(given.u, -1, size, borderType=MIRRORED)
    std = np.sqrt(np.maximum(square - mean * mean, 0))
    return (given.u - mean) / np.maximum(std, 1e-4)


@LIBRARY.agrees("gamma", 1e-12, gamma=0.45)
def power(given: Given):
    """pow(u, 0.45)"""
    return cv2.pow(given.u, 0.45)
