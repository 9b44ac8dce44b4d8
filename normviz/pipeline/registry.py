"""The only list of steps: menus, documents, tests and stored pipelines derive from it."""

from __future__ import annotations

from normviz.pipeline.base import Step
from normviz.pipeline.geometry import CentreCrop, Resize
from normviz.pipeline.method import Normalize
from normviz.pipeline.values import ChannelOrder, Clip, MeanStd, Scale, ToBytes, ToRGB

STEPS: dict[str, type[Step]] = {
    step.key: step
    for step in (
        ToRGB,
        Resize,
        CentreCrop,
        ChannelOrder,
        Scale,
        MeanStd,
        Clip,
        ToBytes,
        Normalize,
    )
}
