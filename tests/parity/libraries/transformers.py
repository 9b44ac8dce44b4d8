"""Hugging Face's image processors, which normalize after rescaling."""

from __future__ import annotations

import numpy as np

from tests.methods.test_code_in_libraries import torchvision_runs
from tests.parity.case import Given, Library


class Transformers(Library):
    def needed(self) -> None:
        torchvision_runs()  # it imports torchvision where that is installed
        super().needed()


LIBRARY = Transformers("Transformers", "transformers", "transformers")


def run(given: Given, name: str) -> np.ndarray:
    import transformers

    processor = getattr(transformers, name)(do_resize=False)
    for step in ("do_center_crop", "do_pad"):
        if hasattr(processor, step):
            setattr(processor, step, False)
    done = processor(np.array(given.x), return_tensors="np", input_data_format="channels_last")
    return done["pixel_values"][0].transpose(1, 2, 0)


@LIBRARY.agrees("scale_11", 1e-6)
def vit(given: Given):
    """ViTImageProcessor(do_resize=False)"""
    return run(given, "ViTImageProcessor")


@LIBRARY.agrees("published", 1e-6)
def segformer(given: Given):
    """SegformerImageProcessor(do_resize=False)"""
    return run(given, "SegformerImageProcessor")


@LIBRARY.agrees("published", 1e-6, preset="clip")
def clip(given: Given):
    """CLIPImageProcessor(do_resize=False, do_center_crop=False)"""
    return run(given, "CLIPImageProcessor")
