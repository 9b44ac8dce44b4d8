"""Every state and address key of the app, in one table; the rest of the app uses these names.

A shareable key is also the name of a parameter in the page's address (its widget is bound to it),
so the address alone brings back the same view of bundled samples. Uploaded files are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    name: str
    default: Any
    shareable: bool = True


CAME = Key("came", False, shareable=False)
"""Whether the visitor's first run has been."""

SOURCE = Key("source", "samples")
SAMPLE_SET = Key("photos", "Day and night")
UPLOAD = Key("upload", None, shareable=False)
PAGE = Key("page", 1)

EV = Key("ev", 0.0)
KELVIN = Key("kelvin", 6500)
NOISE = Key("noise", 0.0)
LIGHT_SEED = Key("light_seed", 0)

METHODS = Key(
    "methods",
    ("scale_01", "dataset_mean", "dataset_zscore", "image_mean", "image_standardize", "lcn"),
)
FIT_ON = Key("fit", "loaded")
FIT_UPLOAD = Key("fit_upload", None, shareable=False)
CONSTANTS_TEXT = Key("constants", "")
CONSTANTS_FILE = Key("constants_file", None, shareable=False)
CONSTANTS_ORDER = Key("order", "")

MAPPING = Key("map", "stretch")
SCALE = Key("scale", "method")

HISTOGRAM_OF = Key("hist", "image")
HISTOGRAM_ROW = Key("hist_row", None)
HISTOGRAM_BEFORE = Key("before", "overlaid")
LOG_Y = Key("log_y", False)
SHARED_X = Key("shared_x", False)
BINS = Key("bins", 64)

SCENE = Key("scene", None)
LAYER = Key("layer", "trained")
HE_SEED = Key("he_seed", 0)
SORT = Key("sort", "difference")
RELATIVE = Key("relative", True)

METHOD = Key("method", "all")
VERSUS = Key("versus", "nothing")
METHOD_IMAGE = Key("picture", None)

NORMS = Key("norms", ("batch_norm", "layer_norm", "instance_norm", "group_norm"))
CHANNEL = Key("channel", 14)
NORM_MOMENTUM = Key("momentum", 0.1)
NORM_BATCH = Key("batch", 2)
NORM_SEED = Key("norm_seed", 0)

NETWORK = Key("net", "mobilenet_v2")
NETWORK_FILE = Key("net_file", None, shareable=False)
KEPT_NETWORK = Key("kept_network", None, shareable=False)
LAST_NETWORK = Key("last_network", None, shareable=False)
LAB_TRAINED = Key("trained_under", "ds_z")
LAB_NORM = Key("lab_norm", False)
NETWORK_SIZE = Key("net_size", 224)
NETWORK_LAYOUT = Key("net_layout", "NCHW")
DEPTH_IMAGE = Key("of", "all")
DEPTH_LIGHT = Key("lit", "both")
REFERENCE = Key("against", None)
DEPTH_LEFT = Key("left", "std")
DEPTH_RIGHT = Key("right", "shift")
SHIFT_OF = Key("shift_of", None)
DEPTH_LAYER = Key("layer_at", 1)
DEPTH_CHANNEL = Key("layer_channel", 1)
NUMBERS_OF = Key("numbers_of", "layer")
MAPS_OF = Key("maps_of", None)
MAPS_SCALE = Key("maps_scale", "same")
GUESSES_OF = Key("guesses_of", None)

INSPECT_PHOTOS = Key("tried_on", "samples")
AS_THEY_ARE = Key("as_they_are", False)
INSPECT_CODE = Key("feed_in", "numpy")
INSPECT_PHOTO = Key("guess_photo", None)
INSPECT_ALSO = Key("also_as", "none")

ADVICE_SEED = Key("advice_seed", 0)
ADVICE_RUN = Key("advice_run", None, shareable=False)
ADVICE_CODE = Key("advice_in", None, shareable=False)

LESSON = Key("step", None, shareable=False)
"""In the address by hand: a widget that is bound to it writes its words there."""
GUESS = Key("guess", None, shareable=False)
REVEALED = Key("revealed", False)
CLASSROOM = Key("classroom", False)
LAB_SEED = Key("lab_seed", 0)
LAB_IMAGES = Key("lab_images", "its")
LAB_RUNS = Key("lab_runs", None, shareable=False)
LAB_UNDER_WAY = Key("lab_under_way", None, shareable=False)
LESSON_EV = Key("lesson_ev", -3.0)
LESSON_KELVIN = Key("lesson_kelvin", 3000)
LESSON_OFFSET = Key("offset", 2.0)
LESSON_RATE = Key("lesson_rate", 1.0)
LESSON_ABSOLUTE_RATE = Key("absolute_rate", 0.3)
LESSON_ALBEDO = Key("albedo", 0.5)
LESSON_BATCH = Key("lesson_batch", 16)
LESSON_IMAGES = Key("lesson_images", 300)
LESSON_STEP_BATCH = Key("step_batch", 8)
LESSON_SIGMA = Key("sigma", 1.0)

PIPELINE = Key("pipeline", None)
PIPELINE_IMAGE = Key("through", None)
OTHER_ORDER = Key("other_order", None, shareable=False)

RACERS = Key("race", ("raw1", "ds_mean", "ds_z", "img_z"))
RACE_SET = Key("race_set", "photos")
RACE_OPTIMIZER = Key("optimizer", "sgd")
RACE_RATE = Key("rate", "0.03")
RACE_NORM = Key("norm_layers", "none")
RACE_BATCH = Key("race_batch", 32)
RACE_STEPS = Key("steps", 200)
TRAIN_SIGMA = Key("train_sigma", 1.0)
TRAIN_SHIFT = Key("train_shift", 0.0)
TEST_SIGMA = Key("test_sigma", 1.0)
TEST_SHIFT = Key("test_shift", -2.0)
RACE_SEEDS = Key("seeds", 6)
FIRST_SEED = Key("first_seed", 0)
RACE_REFERENCE = Key("race_against", "raw1")
RATE_SHOWN = Key("rate_shown", "best")
RACE = Key("running_race", None, shareable=False)
RACES = Key("races_run", None, shareable=False)

DATASET_X = Key("x", "mean")
DATASET_Y = Key("y", "std")
RANK = Key("rank", "darkest")
CONSTANTS_FOR = Key("constants_for", "torchvision")
READ_SEED = Key("read_seed", 0)
SCATTER = Key("scatter", None, shareable=False)
RANKED = Key("ranked", None, shareable=False)
SELECTED = Key("selected", None, shareable=False)
CHOSEN = Key("chosen", None, shareable=False)
LOOK = "look"
"""In an address: show what was selected on the Dataset page. It is taken out again at once."""
EXCLUDED = Key("excluded", None, shareable=False)
STOPPED = Key("scan_stopped", None, shareable=False)
PARTIAL = Key("scan_partial", None, shareable=False)

CODE_METHOD = Key("code_method", None, shareable=False)
CODE_TARGET = Key("code_target", None, shareable=False)


def parameter_key(method: str, field: str) -> Key:
    """The key of one parameter of one method; its default is the field's own."""
    return Key(f"{method}.{field}", None)


ALL: tuple[Key, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Key))
