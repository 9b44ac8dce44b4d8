"""The steps of the Learn page: what is told, what is asked, and which experiments answer."""

from __future__ import annotations

from dataclasses import dataclass

QUESTION = "https://stats.stackexchange.com/questions/211436"


@dataclass(frozen=True)
class Prediction:
    """What a visitor guesses before the result: ``options`` for the findings of one effect.

    ``experiment``, ``verdict`` and ``effect`` (their places) decide: an effect that is "more" makes
    the first option right, "less" the second, "same" the third. An option that cannot come true is
    empty, and not offered. Without an experiment the lesson's own sight decides.
    """

    question: str
    options: tuple[str, str, str]
    experiment: str
    effect: int
    verdict: int = 0


@dataclass(frozen=True)
class Lesson:
    """One step: its live figure has the key's name, ``experiments`` are shown after the guess."""

    key: str
    title: str
    text: str
    experiments: tuple[str, ...]
    prediction: Prediction


LESSONS: tuple[Lesson, ...] = (
    Lesson(
        "picture",
        "What subtracting does to a picture",
        "Subtract one and the same number from every pixel of a set, and the night stays darker "
        "than the day: only where zero lies has changed. Subtract each image's own mean, and both "
        "have the same; divide by its own std as well, and one can hardly tell them apart. Move "
        "the light and look at which columns follow.",
        (),
        Prediction(
            "All photos of a set get the set's mean and std. Do they stand as far apart in "
            "brightness as before, measured in stds of all pixels?",
            ("Farther apart", "Closer together", "As far as before"),
            "",
            0,
        ),
    ),
    Lesson(
        "neuron",
        "What a neuron sees by day and by night",
        "The asker writes that a daylight image makes more neurons fire than a night-time image. A "
        "unit fires when its weighted sum is above zero. Scaling a picture by a positive number "
        "scales the sum, but does not change its sign.",
        ("day_night",),
        Prediction(
            "256 random filters see an image (÷ 255) by day and 3 EV darker. When do more units "
            "fire?",
            ("By day", "By night", "As many in both"),
            "day_night",
            0,
        ),
    ),
    Lesson(
        "centring",
        "Why centring helps",
        "Two weights, two inputs with the same mean. Far from zero the inputs rise and fall "
        "together for the loss: its level lines are stretched, and gradient descent must take "
        "small steps along a narrow valley. With the mean subtracted the lines are round. Move the "
        "mean towards zero and watch the path.",
        ("conditioning", "curvature"),
        Prediction(
            "Do each image's own mean and std make the loss rounder than the dataset's mean and "
            "std?",
            ("Yes, rounder still", "No, less round", "Much the same"),
            "conditioning",
            0,
            1,
        ),
    ),
    Lesson(
        "rate",
        "One learning rate for all",
        "Networks are trained with one learning rate for every weight. Under some normalizations "
        "many rates work, under others none does: each row of the map is a method, each column a "
        "rate, and the number is how low training came.",
        ("one_rate",),
        Prediction(
            "At one rate of 0.03 with SGD, does the dataset's mean and std end lower than ÷ 255?",
            ("Yes, lower", "No, higher", "Much the same"),
            "one_rate",
            0,
        ),
    ),
    Lesson(
        "shift",
        "Dataset or image?",
        "The question itself. A small network is trained in one light and tested in others. With "
        "the dataset's numbers a dark test image is a dark input; with its own it looks like those "
        "of the training.",
        ("shift", "nuisance"),
        Prediction(
            "Trained by day, tested 3 EV darker: whose mean and std is right more often?",
            ("The image's own", "The dataset's", "As often"),
            "shift",
            0,
        ),
    ),
    Lesson(
        "signal",
        "When brightness is the answer",
        "Now the class is how bright a surface is. What per-image normalization removes was what "
        "is asked for. Varied light hides the albedo from everyone: the dashed line in the result "
        "is the best that anybody could do.",
        ("signal",),
        Prediction(
            "In fixed light, can a network tell the albedo after each image's own mean and std?",
            ("Yes", "Worse than chance", "No better than chance"),
            "signal",
            1,
        ),
    ),
    Lesson(
        "batch",
        "Batch norm: the dataset seen through a keyhole",
        "Batch normalization subtracts the mean of the batch inside the network. A batch's mean is "
        "near the dataset's, the nearer the more images it holds; and a constant that was "
        "subtracted before is subtracted again, so that it no longer matters.",
        ("batch_norm", "batch_statistics", "full_batch"),
        Prediction(
            "With batch norm after the first convolution (no padding): do the loss curves with and "
            "without the dataset's mean subtracted differ?",
            ("Yes, visibly", "", "No, not at all"),
            "batch_norm",
            1,
        ),
    ),
    Lesson(
        "mean_image",
        "Mean image or channel mean",
        "The asker names two ways: one mean a channel, or one a pixel. The mean image of random "
        "crops is flat, since anything may be anywhere; that of digits, which all stand in the "
        "middle, is a blurred digit.",
        ("mean_image", "channel_gradients"),
        Prediction(
            "On random crops of photos, does a mean for each pixel make the network right more "
            "often than one a channel?",
            ("Yes, more often", "No, less often", "As often"),
            "mean_image",
            0,
        ),
    ),
    Lesson(
        "colour",
        "Is it colour normalization?",
        "Lamps are yellow, skies blue. Only a method that takes each channel of each image by "
        "itself does not see the colour of the light; and it throws the colours of things away "
        "with it.",
        ("colour",),
        Prediction(
            "The light turns redder or bluer by 1.5 EV. Does the network lose accuracy under the "
            "dataset's mean and std?",
            ("Yes, much", "It gains", "Hardly any"),
            "colour",
            0,
        ),
    ),
    Lesson(
        "local",
        "Local contrast",
        "Why stop at the image? Local contrast normalization takes mean and std of a neighbourhood "
        "of each pixel: shadows and highlights of one picture come out alike. What is left are "
        "edges; large even areas turn to noise or grey.",
        (),
        Prediction(
            "The right half of a photo lies in shadow. Which leaves less of the shadow?",
            ("Local contrast normalization", "The photo's own mean and std", "Both alike"),
            "",
            0,
        ),
    ),
    Lesson(
        "downhill",
        "One image, or many",
        "Each step of training sees a few images. The gradient of one image need not point "
        "downhill for all, that of many does: another reason to look at numbers of sets, not of "
        "images.",
        ("one_step",),
        Prediction(
            "Do gradients of single images fail to point downhill for the whole set, often enough "
            "to matter (in 10 % or more)?",
            ("Yes", "", "No, rarely or never"),
            "one_step",
            0,
        ),
    ),
    Lesson(
        "answer",
        "The answer",
        "Centring helps, but per-image normalization centres too: conditioning does not decide "
        "between dataset and image. What decides is whether an image's overall brightness and "
        "contrast say something about what is asked (signal) or only about the light (nuisance). "
        "Each point is a set: the more of its brightness is nuisance, the more each image's own "
        "numbers gain.",
        ("variance_split",),
        Prediction(
            "Does the share of nuisance go with what each image's own mean and std gain?",
            ("Yes", "The other way round", "Not at all"),
            "variance_split",
            0,
        ),
    ),
)

CLAIMS_STEP = "claims"
"""The step after the lessons: all claims in one table."""
