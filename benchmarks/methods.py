"""How fast every method is on a 512 × 512 photo, beside the best library that offers the same.

    python benchmarks/methods.py [--rounds 30] [--only KEY ...]

Runs in the peers' environment of benchmarks/standardize.py, one thread each: every round times
each candidate once (the mean of as many calls as fill 5 ms, at least three), in an order shuffled
anew, and ratios are taken within a round. A peer is the library's own call for the method, or the
shortest program of its calls where there is no single one; its result is checked to be the same up
to the tolerance stated beside it. Writes benchmarks/results/methods.json and prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import time
import timeit
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
PEER_NAMES = (
    "numpy",
    "opencv-python-headless",
    "albumentations",
    "torch",
    "torchvision",
    "scikit-image",
)
LEAST_CALLS, LEAST_SECONDS = 3, 5e-3


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
        for name, (run, tolerance) in peers(key, fitted, pixels, photos).items():
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
    calls = {name: max(LEAST_CALLS, calls_to_fill(run)) for name, run in candidates.items()}
    order = list(candidates)
    shuffle = random.Random(0)
    for _ in range(rounds):
        shuffle.shuffle(order)
        for name in order:
            start = time.perf_counter()
            for _ in range(calls[name]):
                candidates[name]()
            times[name].append((time.perf_counter() - start) / calls[name])
    return {
        name: {
            "ms": spread([1e3 * took for took in taken]),
            "normviz_in_it": spread([b / a for a, b in zip(taken, times["normviz"], strict=True)]),
        }
        for name, taken in times.items()
    }


def calls_to_fill(run: Callable) -> int:
    number, taken = timeit.Timer(run).autorange()
    return round(number * LEAST_SECONDS / taken)


def peers(key: str, fitted, pixels, photos) -> dict[str, tuple[Callable, float]]:
    """Name → (call, how far it may be away as a share of the output's range)."""
    import albumentations as A
    import cv2
    import numpy as np
    from skimage.exposure import match_histograms
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
            "OpenCV subtract, multiply": (lambda: by_channel(255 * np.array(mean), s), 1e-4),
        }

    def scalar(values):
        return (*np.broadcast_to(values, 3).astype(float).tolist(), 0.0)

    def by_channel(mean, gain):
        """(x − mean) · gain of each channel, as OpenCV's two calls do it."""
        centred = cv2.subtract(pixels, scalar(mean), dtype=cv2.CV_32F)
        return centred if np.all(gain == 1) else cv2.multiply(centred, scalar(gain), centred)

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
            if axes is None:
                return affine_of(*pooled_moments())
            mean, std = (v.ravel() for v in cv2.meanStdDev(pixels))
            return by_channel(mean, 1 / std)

        return {"NumPy, float32": (run, 1e-3), "OpenCV meanStdDev and affine": (opencv, 1e-4)}

    flat = pixels.reshape(len(pixels), -1)

    def pooled_moments():
        return (float(v[0, 0]) for v in cv2.meanStdDev(flat))

    def affine_of(mean, std):
        gain = 1 / std
        return cv2.addWeighted(flat, gain, flat, 0, -mean * gain, dtype=cv2.CV_32F)

    def contrast():
        mean, std = pooled_moments()
        size = flat.size
        divisor = np.sqrt(method.bias + std**2 * size / (size - 1)) / method.scale
        return affine_of(mean, divisor)

    def opencv_min_max():
        ends = [cv2.minMaxLoc(plane)[:2] for plane in cv2.split(pixels)]
        low, high = np.array(ends).T
        return by_channel(low, 1 / (high - low))

    def robust():
        low, middle, high = np.percentile(pixels, [25, 50, 75])
        return affine_of(middle, high - low)

    def whitened():
        black, *columns = fitted.reference(np.vstack([np.zeros((1, 3)), np.eye(3)])[None])[0]
        matrix = np.stack([column - black for column in columns] + [255 * black], axis=1)
        m = f32(matrix / 255)
        return {"cv2.transform": (lambda: cv2.transform(pixels.astype(f32), m), 1e-4)}

    def patches_filtered():
        # As the torch code exported for this method does it: mirrored border, one convolution.
        kernel = torch.tensor(f32(constants["kernel"] / 255)).permute(0, 3, 1, 2).contiguous()
        offset = torch.tensor(f32(constants["offset"]))
        before = method.side // 2
        after = method.side - 1 - before
        pad = (before, after, before, after)

        def run():
            x = torch.nn.functional.pad(tensor[None].float(), pad, mode="reflect")
            return torch.nn.functional.conv2d(x, kernel, offset)[0]

        return {"torch conv2d": (run, 1e-3)}

    def whole_image():
        components = constants["components"].reshape(len(constants["components"]), -1)
        gain, mean = method.gain(constants["eigenvalues"]), constants["mean"].ravel()
        side = method.side

        def run():
            small = cv2.resize(pixels.astype(f32), (side, side), interpolation=cv2.INTER_AREA)
            x = small.ravel() / 255 - mean
            y = np.zeros_like(x)
            if key == "image_pca":
                y[: len(gain)] = gain * (components @ x)
            else:
                others = method.gain(constants["rest"])
                y = others * x + ((gain - others) * (components @ x)) @ components
            y = f32(y.reshape(small.shape))
            return cv2.resize(y, pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST)

        return {"OpenCV resize, NumPy": (run, 1e-3)}

    def position():
        mean_image = f32(255 * constants["mean_image"])

        def run():
            template = cv2.resize(mean_image, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            return cv2.subtract(pixels, template, dtype=cv2.CV_32F)

        def standardized():
            y = run()
            std = cv2.resize(std_image, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            return cv2.divide(y, cv2.max(std, 255 * method.epsilon), y)

        if "std_image" not in constants:
            return {"cv2.resize, cv2.subtract": (run, 1e-4)}
        std_image = f32(255 * constants["std_image"])
        return {"cv2.resize, subtract, divide": (standardized, 1e-4)}

    def gains(of):
        return {
            "NumPy": (lambda: pixels * f32(of() / 255), 1e-3),
            "cv2.multiply": (
                lambda: cv2.multiply(pixels, scalar(of() / 255), dtype=cv2.CV_32F),
                1e-3,
            ),
        }

    def to_grey(light):
        return light.mean() / light

    def minkowski():
        powers = cv2.pow(pixels.astype(f32) * f32(1 / 255), method.p)
        return np.array(cv2.mean(powers)[:3]) ** (1 / method.p)

    def edges():
        smooth = cv2.GaussianBlur(
            pixels.astype(f32), (0, 0), method.sigma, borderType=cv2.BORDER_REFLECT_101
        )
        across, down = (
            cv2.Sobel(smooth, -1, *way, ksize=1, borderType=cv2.BORDER_REFLECT_101)
            for way in ((1, 0), (0, 1))
        )
        powers = cv2.pow(cv2.magnitude(across.ravel(), down.ravel()) / f32(255), method.p)
        return np.array(cv2.mean(powers.reshape(pixels.shape))[:3]) ** (1 / method.p)

    def adapted():
        from normviz.methods.adaptation import adaptation

        matrix = f32(adaptation(method.light, method.response))
        u = np.arange(256) / 255
        decoded = f32(np.where(u <= 0.04045, u / 12.92, ((u + 0.055) / 1.055) ** 2.4))

        def run():
            light = cv2.transform(cv2.LUT(pixels, decoded), matrix)
            size = np.abs(light)
            curve = f32(1.055) * cv2.pow(size, 1 / 2.4) - f32(0.055)
            return np.copysign(np.where(size <= 0.0031308, f32(12.92) * size, curve), light)

        return {"OpenCV calls": (run, 1e-4)}

    def logarithms():
        from normviz.methods.colour_spaces import FLOOR, LMS_TO_LAB, RGB_TO_LMS

        to_lms = f32(np.column_stack([RGB_TO_LMS / 255, np.full(3, FLOOR)]))
        to_lab = f32(LMS_TO_LAB / np.log(10))
        return cv2.transform(cv2.log(cv2.transform(pixels.astype(f32), to_lms)), to_lab)

    def transferred():
        from normviz.methods.colour_spaces import FLOOR, LMS_TO_LAB, RGB_TO_LMS

        lab = logarithms()
        mean, std = (v.ravel() for v in cv2.meanStdDev(lab))
        gain = constants["std"] / std
        back = np.log(10) * np.linalg.inv(LMS_TO_LAB)
        shift = back @ (constants["mean"] - gain * mean)
        logs = cv2.transform(lab, f32(np.column_stack([back * gain, shift])))
        inverse = np.linalg.inv(RGB_TO_LMS)
        lms = cv2.exp(cv2.min(logs, float(np.log(10))))
        return cv2.transform(lms, f32(np.column_stack([inverse, inverse.sum(axis=1) * -FLOOR])))

    def retinex(*sigmas):
        def run():
            x = pixels.astype(f32) * f32(1 / 255)
            border = cv2.BORDER_REFLECT_101
            wide = [
                cv2.log(cv2.GaussianBlur(x, (0, 0), s, borderType=border) + f32(1 / 255))
                for s in sigmas
            ]
            return cv2.log(x + f32(1 / 255)) - sum(wide) / f32(len(sigmas))

        # A surround on a smaller copy, as here, against one at full size.
        return {"OpenCV GaussianBlur, log": (run, 0.02)}

    def divisive():
        def run():
            response = cv2.pow(pixels.astype(f32) * f32(1 / 255), method.n)
            pool = blurred(across(response)) + f32(method.sigma**method.n)
            return cv2.divide(response, cv2.merge([pool] * 3))

        return {"OpenCV calls": (run, 1e-4)}

    def responses():
        def run():
            # PyTorch divides alpha by the number of channels.
            alpha = method.n * method.alpha
            return torch.nn.functional.local_response_norm(
                tensor[None].float(), method.n, alpha=alpha, beta=method.beta, k=method.k
            )[0]

        return {"torch local_response_norm": (run, 1e-4)}

    def matched():
        # scikit-image takes one reference image: all pixels of the set, as one column.
        column = np.concatenate([photo.pixels.reshape(-1, 1, 3) for photo in photos])
        return {
            "scikit-image (bytes)": (
                lambda: match_histograms(pixels, column, channel_axis=2) / f32(255),
                1.2 * byte,
            )
        }

    offers: dict[str, Callable[[], dict]] = {
        "none": lambda: {
            **scaled(1.0, 0.0),
            "NumPy, float32": (lambda: pixels.astype(f32), exact),
        },
        "scale_01": lambda: scaled(1 / 255, 0.0),
        "scale_11": lambda: scaled(2 / 255, -1.0),
        "dataset_mean": lambda: constants_pair(constants["mean"], 1 / 255),
        "dataset_mean_image": position,
        "dataset_pixel_zscore": position,
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
        "channel_min_max": lambda: {
            **own("min_max_per_channel"),
            "OpenCV calls": (opencv_min_max, 1e-4),
        },
        "robust": lambda: {"NumPy percentile, OpenCV": (robust, 1e-4)},
        "gcn": lambda: {"OpenCV meanStdDev and affine": (contrast, 1e-4)},
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
        "match_histogram": matched,
        "lcn_subtractive": lambda: opencv_lcn("subtractive"),
        "lcn_divisive": lambda: opencv_lcn("divisive"),
        "lcn": lambda: opencv_lcn("both"),
        "local_standardize": opencv_local,
        "divisive": divisive,
        "lrn": responses,
        "colour_pca": whitened,
        "colour_zca": whitened,
        "patch_zca": patches_filtered,
        "image_pca": whole_image,
        "image_zca": whole_image,
        "grey_world": lambda: gains(lambda: to_grey(np.array(cv2.mean(pixels)[:3]))),
        "shades_of_grey": lambda: gains(lambda: to_grey(minkowski())),
        "grey_edge": lambda: gains(lambda: to_grey(edges())),
        "von_kries": adapted,
        "opponent": whitened,
        "decorrelated": lambda: {"OpenCV calls": (logarithms, 1e-4)},
        "reinhard": lambda: {"OpenCV calls": (transferred, 1e-3)},
        "retinex_ssr": lambda: retinex(method.sigma),
        "retinex_msr": lambda: retinex(method.small, method.middle, method.large),
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
