"""The claims of the question and its answers: who said what, and which experiment tests it."""

from __future__ import annotations

from dataclasses import dataclass

LINK = "https://stats.stackexchange.com/questions/211436"


@dataclass(frozen=True)
class Claim:
    """One claim. ``quote`` holds the author's own words, empty where only the sense is given.

    ``says`` is the claim in our words; ``experiment`` the key of the one whose verdict counts,
    ``also`` of others that bear on it; ``effect`` which of its verdict's effects says most of it in
    one number.
    """

    number: int
    who: str
    says: str
    quote: str
    experiment: str
    also: tuple[str, ...] = ()
    effect: int = 0

    @property
    def link(self) -> str:
        return LINK


_NO_QUOTE = ""

CLAIMS: dict[int, Claim] = {
    claim.number: claim
    for claim in (
        Claim(
            1,
            "lollercoaster",
            "Centring conditions the problem of learning (the reason given by LeCun and others "
            "1998).",
            'Subtracting the dataset mean serves to "center" the data.',
            "conditioning",
            ("curvature",),
        ),
        Claim(
            2,
            "lollercoaster",
            "…and therefore it is the dataset's mean that is subtracted, not the image's own.",
            "over the whole dataset by subtracting mean",
            "conditioning",
        ),
        Claim(
            3,
            "lollercoaster",
            "With normalized inputs one learning rate does for all.",
            "we only need one global learning rate multiplier",
            "one_rate",
        ),
        Claim(
            4,
            "lollercoaster",
            "Networks share weights between positions, so positions must be scaled alike.",
            "to one part of the image weight w is a lot and to another it's too small",
            "mean_image",
        ),
        Claim(
            5,
            "the asker (Max Gordon)",
            "A daylight image makes more neurons fire than a night image.",
            "An image taken in broad daylight will cause more neurons to fire than a night-time "
            "image",
            "day_night",
        ),
        Claim(
            6,
            "the asker (Max Gordon), JPJ",
            "Normalizing each image by itself handles day and night.",
            "The natural approach would in my mind to normalize each image",
            "shift",
            ("nuisance",),
        ),
        Claim(
            7,
            "JPJ",
            "Where light is controlled, differences of brightness between images are of value, and "
            "per-image normalization wipes them out.",
            _NO_QUOTE,
            "signal",
            effect=1,
        ),
        Claim(
            8,
            "Sid M",
            "With batch normalization, subtracting the mean per channel is not necessary.",
            _NO_QUOTE,
            "batch_norm",
            effect=1,
        ),
        Claim(
            9,
            "Sid M",
            "Subtracting the mean makes gradients act uniformly for each channel.",
            "since gradients act uniformly for each channel",
            "channel_gradients",
        ),
        Claim(
            10,
            "lollercoaster",
            "A batch's statistics approximate the dataset's.",
            _NO_QUOTE,
            "batch_statistics",
        ),
        Claim(
            11,
            "lollercoaster",
            "Batch normalization is for data that does not fit at once.",
            _NO_QUOTE,
            "full_batch",
        ),
        Claim(
            12,
            "lollercoaster",
            "A step for one sample need not point downhill for all; for enough samples it does.",
            _NO_QUOTE,
            "one_step",
        ),
        Claim(
            13,
            "the asker (Max Gordon)",
            "It matters which is subtracted: one mean a channel, or a mean image.",
            "Subtract by pixel/channel calculated over all images",
            "mean_image",
            # The last: of aligned digits, or of the images that it was run on.
            effect=-1,
        ),
        Claim(
            14,
            "the asker (Max Gordon)",
            "This is a matter of colour normalization.",
            "Is this a color normalization issue",
            "colour",
            effect=2,
        ),
        Claim(
            15,
            "lollercoaster, JPJ",
            "Some networks do whiten each image; what decides is whether brightness is nuisance or "
            "signal.",
            "You will see in some CNN models that per-image whitening is used",
            "variance_split",
        ),
    )
}
