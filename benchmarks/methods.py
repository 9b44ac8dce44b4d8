"""How fast every method is on a 512 × 512 photo, beside the best library that offers the same.

    python benchmarks/methods.py [--rounds 30] [--only KEY ...]

Runs in the peers' environment of benchmarks/standardize.py, one thread each: every round times
each candidate once (the mean of three calls), in an order shuffled anew, and ratios are taken
within a round. A peer is the library's own call for the method, or the shortest program of its
calls where there is no single one; its result is checked to be the same up to the tolerance stated
beside it. Writes benchmarks/results/methods.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import time
from collections.abc import Callable

from standardize import (
    RESULTS,
    ROOT,
    peers_python,
    spread,
    torch_and_transforms,
    versions,
)

COMMAND = "python benchmarks/methods.py"
PEER_NAMES = ("numpy", "opencv-python-headless", "albumentations", "torch", "torchvision")
CALLS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        print(json.dumps(measure(asked.rounds, asked.only)))
        return
    command = [str(peers_python()), __file__, "--inside", "--rounds", str(asked.rounds)]
    command += ["--only", *asked.only] if asked.only else []
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "NO_ALBUMENTATIONS_UPDATE": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    run = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    record = json.loads(run.stdout.splitlines()[-1])
    if not asked.only:
        (RESULTS / "methods.json").write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))


def measure(rounds: int, only: list[str]) -> dict:
    import cv2
    import numpy as np

    import normviz as nv
    from normviz.samples import SAMPLE_SETS, load_sample

    cv2.setNumThreads(1)
    torch_and_transforms()
    image = load_sample("astronaut")
    pixels = np.ascontiguousarray(image.pixels)
    photos = [load_sample(name) for name in SAMPLE_SETS["Day and night"]]
    stats = nv.scan(photos, mean_image=224)
    rows = {}
    for key, kind in nv.METHODS.items():
        if only and key not in only:
            continue
        method = kind()
        fitted = method.fit(photos if method.about.fits_on == "images" else stats)
        candidates: dict[str, Callable] = {"normviz": lambda fitted=fitted: fitted(pixels)}
        ours = candidates["normviz"]()
        apart = {}
        for name, (run, tolerance) in peers(key, fitted, pixels).items():
            theirs = np.asarray(run(), np.float32)
            if theirs.shape[0] == 3:
                theirs = theirs.transpose(1, 2, 0)
            theirs = theirs.reshape(ours.shape)
            apart[name] = float(np.abs(theirs - ours).max()) / float(np.ptp(ours))
            if apart[name] > tolerance:
                raise SystemExit(f"{key}: {name} is {apart[name]:.2g} of the range away")
            candidates[name] = run
        rows[key] = {
            name: {**found, "apart": apart.get(name, 0.0)}
            for name, found in timed(candidates, rounds).items()
        }
    return {
        "command": COMMAND,
        "image": f"{pixels.shape[1]} × {pixels.shape[0]} RGB uint8, one thread",
        "methods": rows,
        "versions": versions(*PEER_NAMES),
        "machine": {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")},
    }


def timed(candidates: dict[str, Callable], rounds: int) -> dict:
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    shuffle = random.Random(0)
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            start = time.perf_counter()
            for _ in range(CALLS):
                candidates[name]()
            times[name].append((time.perf_counter() - start) / CALLS)
    return {
        name: {
            "ms": spread([1e3 * took for took in taken]),
            "normviz_in_it": spread([b / a for a, b in zip(taken, times["normviz"], strict=True)]),
        }
        for name, taken in times.items()
    }


def peers(key: str, fitted, pixels) -> dict[str, tuple[Callable, float]]:
    """Name → (call, how far it may be away as a share of the output's range)."""
    import albumentations as A
    import cv2
    import numpy as np
    from torchvision.transforms import v2
    from torchvision.transforms.v2 import functional as F

    torch = __import__("torch")
    tensor = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
    method, constants = fitted.method, fitted.constants
    exact, byte = 2e-6, 1 / 254
    f32 = np.float32

    def constants_pair(mean, std, name="Albumentations Normalize"):
        """The libraries' Normalize for constants on fractions."""
        mean, std = (np.broadcast_to(np.asarray(v, np.float64), 3).tolist() for v in (mean, std))
        normalize = A.Normalize(mean=mean, std=std, max_pixel_value=255.0)
        steps = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
        m, s = f32(np.multiply(mean, 255)), f32(1 / np.multiply(std, 255))
        return {
            name: (lambda: normalize(image=pixels)["image"], 1e-4),
            "torchvision v2": (lambda: steps(tensor), 1e-4),
            "NumPy, float32": (lambda: (pixels.astype(f32) - m) * s, 1e-4),
        }

    def own(mode, tolerance=1e-3):
        normalize = A.Normalize(normalization=mode)
        return {f"Albumentations {mode}": (lambda: normalize(image=pixels)["image"], tolerance)}

    def blurred(x):
        size = method.window
        return cv2.GaussianBlur(x, (size, size), size / 4, borderType=cv2.BORDER_REFLECT_101)

    def across(x):
        return cv2.transform(x, np.full((1, 3), 1 / 3, f32))

    def opencv_lcn(kind):
        def run():
            x = pixels.astype(f32) * f32(1 / 255)
            v = x if kind == "divisive" else x - blurred(across(x))[..., None]
            if kind == "subtractive":
                return v
            sigma = np.sqrt(blurred(across(v * v)))
            return v / np.maximum(sigma.mean(), sigma)[..., None]

        return {"OpenCV calls": (run, 1e-4)}

    def opencv_local():
        size = (method.window, method.window)

        def run():
            x = pixels.astype(np.float64) / 255
            mean = cv2.boxFilter(x, -1, size, borderType=cv2.BORDER_REFLECT_101)
            square = cv2.sqrBoxFilter(x, -1, size, borderType=cv2.BORDER_REFLECT_101)
            std = np.sqrt(np.maximum(square - mean * mean, 0))
            return (x - mean) / np.maximum(std, method.epsilon)

        return {"OpenCV calls": (run, 1e-3)}

    def lab_clahe():
        clahe = cv2.createCLAHE(method.clip_limit, (method.tiles, method.tiles))

        def run():
            lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB)
            lab[..., 0] = clahe.apply(np.ascontiguousarray(lab[..., 0]))
            return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB).astype(f32) / f32(255)

        limit, tiles = method.clip_limit, method.tiles
        theirs = A.CLAHE(clip_limit=(limit, limit), tile_grid_size=(tiles, tiles), p=1.0)
        return {
            "OpenCV calls": (run, exact),
            "Albumentations (bytes)": (lambda: theirs(image=pixels)["image"] / f32(255), exact),
        }

    def equalized():
        def run():
            planes = [cv2.equalizeHist(plane) for plane in cv2.split(pixels)]
            return cv2.merge(planes).astype(f32) / f32(255)

        return {"OpenCV equalizeHist": (run, byte)}

    def opencv_normalize(norm, **more):
        def run():
            flat = pixels.reshape(pixels.shape[0], -1)
            return cv2.normalize(flat, None, 1.0, 0.0, norm, cv2.CV_32F)

        return {"cv2.normalize": (run, 1e-5)}

    def scaled(gain, bias):
        return {
            "cv2.addWeighted": (
                lambda: cv2.addWeighted(pixels, gain, pixels, 0, bias, dtype=cv2.CV_32F),
                1e-5,
            ),
            "torchvision v2": (
                lambda: F.to_dtype(tensor, torch.float32, scale=True) * (gain * 255) + bias,
                1e-5,
            ),
            "NumPy, float32": (lambda: pixels.astype(f32) * f32(gain) + f32(bias), 1e-5),
        }

    def own_numpy(axes):
        def run():
            x = pixels.astype(f32)
            return (x - x.mean(axis=axes)) / x.std(axis=axes)

        def opencv():
            mean, std = (v.ravel() for v in cv2.meanStdDev(pixels))
            if axes is None:
                square = (std**2 + mean**2).mean()
                mean = np.full(3, mean.mean())
                std = np.full(3, np.sqrt(square - mean[0] ** 2))
            return (pixels - f32(mean)) * f32(1 / std)

        return {"NumPy, float32": (run, 1e-3), "OpenCV meanStdDev, NumPy": (opencv, 1e-4)}

    def whitened():
        black, *columns = fitted.reference(np.vstack([np.zeros((1, 3)), np.eye(3)])[None])[0]
        matrix = np.stack([column - black for column in columns] + [255 * black], axis=1)
        m = f32(matrix / 255)
        return {"cv2.transform": (lambda: cv2.transform(pixels.astype(f32), m), 1e-4)}

    def position():
        mean_image = f32(255 * constants["mean_image"])

        def run():
            template = cv2.resize(mean_image, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            return cv2.subtract(pixels, template, dtype=cv2.CV_32F)

        return {"cv2.resize, cv2.subtract": (run, 1e-4)}

    def gains(of):
        def run():
            return pixels * f32(of() / 255)

        return {"NumPy": (run, 1e-3)}

    offers: dict[str, Callable[[], dict]] = {
        "none": lambda: scaled(1.0, 0.0),
        "scale_01": lambda: scaled(1 / 255, 0.0),
        "scale_11": lambda: scaled(2 / 255, -1.0),
        "dataset_mean": lambda: constants_pair(constants["mean"], 1 / 255),
        "dataset_mean_image": position,
        "dataset_zscore": lambda: constants_pair(constants["mean"], constants["std"]),
        "batch_zscore": lambda: constants_pair(
            constants["mean"], np.sqrt(constants["std"] ** 2 + method.epsilon)
        ),
        "published": lambda: constants_pair(constants["mean"], constants["std"]),
        "image_mean": lambda: {
            "OpenCV mean, subtract": (
                lambda: cv2.subtract(pixels, (sum(cv2.mean(pixels)) / 3,) * 4, dtype=cv2.CV_32F),
                1e-5,
            ),
            "NumPy, float32": (lambda: pixels.astype(f32) - f32(pixels.mean()), 1e-4),
        },
        "image_standardize": lambda: {**own("image"), **own_numpy(None)},
        "image_channel_standardize": lambda: {
            **own("image_per_channel"),
            **own_numpy((0, 1)),
        },
        "min_max": lambda: {**own("min_max"), **opencv_normalize(cv2.NORM_MINMAX)},
        "channel_min_max": lambda: own("min_max_per_channel"),
        "unit_l2": lambda: opencv_normalize(cv2.NORM_L2),
        "unit_max": lambda: opencv_normalize(cv2.NORM_INF),
        "percentile_stretch": lambda: {
            "NumPy percentile": (
                lambda: np.clip(
                    (pixels - (ends := f32(np.percentile(pixels, [method.low, method.high])))[0])
                    / (ends[1] - ends[0]),
                    0,
                    1,
                ),
                1e-4,
            )
        },
        "gamma": lambda: {
            "torchvision adjust_gamma": (
                lambda: F.adjust_gamma(F.to_dtype(tensor, torch.float32, scale=True), method.gamma),
                1e-4,
            ),
            "cv2.pow": (lambda: cv2.pow(pixels.astype(f32) / f32(255), method.gamma), 1e-4),
        },
        "logarithm": lambda: {
            "cv2.log": (
                lambda: (
                    cv2.log(1 + f32(method.strength / 255) * pixels.astype(f32))
                    * f32(1 / np.log1p(method.strength))
                ),
                1e-4,
            )
        },
        "equalize": equalized,
        "clahe": lab_clahe,
        "lcn_subtractive": lambda: opencv_lcn("subtractive"),
        "lcn_divisive": lambda: opencv_lcn("divisive"),
        "lcn": lambda: opencv_lcn("both"),
        "local_standardize": opencv_local,
        "colour_pca": whitened,
        "colour_zca": whitened,
        "grey_world": lambda: gains(lambda: (mean := np.array(cv2.mean(pixels)[:3])).mean() / mean),
        "white_patch": lambda: gains(
            lambda: 255 / np.percentile(pixels, method.percentile, axis=(0, 1))
        ),
    }
    return offers[key]() if key in offers else {}


def table(record: dict) -> str:
    lines = [
        f"{record['image']}; {record['command']}",
        "",
        f"{'method':28}{'ms: median (min to max)':>30}  {'best peer':28}{'ms':>8}{'ratio':>8}",
    ]
    for key, row in record["methods"].items():
        ms = row["normviz"]["ms"]
        took = f"{ms['median']:.2f} ({ms['min']:.2f} to {ms['max']:.2f})"
        rivals = {name: found for name, found in row.items() if name != "normviz"}
        if not rivals:
            lines.append(f"{key:28}{took:>30}  none offers it")
            continue
        best = min(rivals, key=lambda name: rivals[name]["ms"]["median"])
        found = rivals[best]
        ratio = found["normviz_in_it"]["median"]
        lines.append(f"{key:28}{took:>30}  {best:28}{found['ms']['median']:>8.2f}{ratio:>8.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
