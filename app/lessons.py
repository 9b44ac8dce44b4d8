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
    """One step: ``text`` and the live figure, which has the key's name, come before the guess and
    do not give it away; ``after`` and the ``experiments`` come after it."""

    key: str
    title: str
    text: str
    after: str
    experiments: tuple[str, ...]
    prediction: Prediction


LESSONS: tuple[Lesson, ...] = (
    Lesson(
        "picture",
        "What subtracting does to a picture",
        "A picture can be centred by one number for a whole set of pictures, or by a number of its "
        "own; and its contrast can be divided by one for all, or by its own. Move the light of the "
        "night and look at which columns follow.",
        "One and the same number, subtracted from all, only moves where zero lies: the night stays "
        "darker than the day. After each image's own mean both have the same; divided by its own "
        "std as well, one can hardly tell them apart.",
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
        "Random filters have no side: of an image (÷ 255) as many units fire by day as by night, "
        "only more strongly. Training gives filters a side, and subtracting the dataset's mean "
        "turns a dark image into one below zero.",
        ("day_night",),
        Prediction(
            "A network was trained with the dataset's mean and std. When do more of its first "
            "units fire: by day, or 3 EV darker?",
            ("By day", "By night", "As many in both"),
            "day_night",
            2,
        ),
    ),
    Lesson(
        "centring",
        "Why centring helps",
        "Two weights, two inputs with the same mean. Far from zero the inputs rise and fall "
        "together for the loss: its level lines are stretched, and gradient descent must take "
        "small steps along a narrow valley. With the mean subtracted the lines are round. Move the "
        "mean towards zero and watch the path.",
        "Whatever takes the shared part away makes the loss rounder, and an image's own mean is "
        "such a part too: this alone does not speak for the dataset's mean.",
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
        "Networks are trained with one learning rate for every weight, and a rate that suits one "
        "input may be far too large for another. Move the rate and watch which of the two losses "
        "still falls.",
        "Each row of the map is a method, each column a rate, and the number is how low training "
        "came: under some normalizations many rates work, under others few.",
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
        "The question itself. A small network is trained in one light and tested in others. Below "
        "is what it gets of a scene by day and in the light you choose.",
        "With the dataset's numbers a dark test image is a dark input, unlike any of the training; "
        "with its own it looks like those of the training. In the training's own light that is no "
        "gain: brightness and contrast told something.",
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
        "Now the class is how bright a surface is: which of two, the one that throws back all "
        "light or the one that throws back less. Change the second and look at which columns "
        "still show a difference.",
        "What each image's own mean and std remove was what is asked for; the mean alone leaves "
        "the contrast, which told the albedo too. Varied light hides the "
        "albedo from everyone: the dashed line is the best that anybody could do.",
        ("signal",),
        Prediction(
            "In fixed light, can a network tell the albedo if only each image's own mean is "
            "subtracted, and nothing divided?",
            ("Yes", "Worse than chance", "No better than chance"),
            "signal",
            2,
        ),
    ),
    Lesson(
        "batch",
        "Batch norm: the dataset seen through a keyhole",
        "Batch normalization subtracts the mean of the batch inside the network. Move the size of "
        "the batch and watch how near its mean comes to the dataset's.",
        "A batch's mean is the nearer to the dataset's the more images it holds. A constant that "
        "was subtracted before changes all of a batch alike, and batch norm takes it away again; "
        "zeros around the image do not move with it, so there it shows.",
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
        "The asker names two ways: one mean a channel, or one a pixel. Below are the mean images "
        "of random crops and of digits, which all stand in the middle. Take more images into the "
        "mean and watch.",
        "The mean image of random crops is flat, since anything may be anywhere, so that both ways "
        "subtract nearly the same; that of digits is a blurred digit.",
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
        "Lamps are yellow, skies blue: light has a colour as well as a strength. Move the colour "
        "of the second light and look at which columns follow.",
        "Only a method that takes each channel of each image by itself does not see the colour of "
        "the light; and it throws the colours of things away with it.",
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
        "of each pixel. Move the light and look at what becomes of dark and bright places.",
        "Shadows and highlights of one picture come out alike. What is left are edges; large even "
        "areas turn to noise or grey.",
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
        "Each step of training sees a few images, and moves the weights for all. Take more images "
        "a step and watch where the steps point.",
        "The gradient of one image need not point downhill for all, that of many does; and a whole "
        "step along it may end higher even where it begins downhill. That is about the images in "
        "a step, and says nothing of whose mean is subtracted.",
        ("one_step",),
        Prediction(
            "A small network takes steps on single images at a rate of 0.05. Is the loss of the "
            "whole set lower after such a step more often than higher?",
            ("Yes, more often lower", "No, more often higher", "Half and half"),
            "one_step",
            2,
        ),
    ),
    Lesson(
        "answer",
        "The answer",
        "Centring helps, but per-image normalization centres too: conditioning does not decide "
        "between dataset and image. An image's brightness says something about what is asked "
        "(signal), or only about the light (nuisance). Spread the light and watch the shares.",
        "What decides is whether brightness and contrast are signal or nuisance. Each point is a "
        "set: the more of its brightness is nuisance, the more each image's own numbers gain, "
        "however much of all variance lies between images.",
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
