"""The only list of methods: menus, documents, tests, exports and addresses derive from it."""

from __future__ import annotations

from normviz.methods.base import Method
from normviz.methods.batch import BatchZScore
from normviz.methods.colour import GreyWorld, WhitePatch
from normviz.methods.dataset import (
    DatasetMean,
    DatasetMeanImage,
    DatasetPixelZScore,
    DatasetZScore,
)
from normviz.methods.fixed import ScaleToSymmetric, ScaleToUnit, Unchanged
from normviz.methods.image import ImageChannelStandardize, ImageMean, ImageStandardize
from normviz.methods.local import LCN, SubtractiveLCN
from normviz.methods.published import Published
from normviz.methods.whitening import ColourPCA, ColourZCA, ImagePCA, ImageZCA, PatchZCA

METHODS: dict[str, type[Method]] = {
    method.key: method
    for method in (
        Unchanged,
        ScaleToUnit,
        ScaleToSymmetric,
        DatasetMean,
        DatasetMeanImage,
        DatasetZScore,
        DatasetPixelZScore,
        BatchZScore,
        ImageMean,
        ImageStandardize,
        ImageChannelStandardize,
        SubtractiveLCN,
        LCN,
        GreyWorld,
        WhitePatch,
        ColourPCA,
        ColourZCA,
        PatchZCA,
        ImagePCA,
        ImageZCA,
        Published,
    )
}
