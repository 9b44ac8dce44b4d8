"""The only list of methods: menus, documents, tests, exports and addresses derive from it."""

from __future__ import annotations

from normviz.methods.adaptation import VonKries
from normviz.methods.base import Method
from normviz.methods.batch import BatchZScore
from normviz.methods.clahe import CLAHE
from normviz.methods.colour import GreyEdge, GreyWorld, ShadesOfGrey, WhitePatch
from normviz.methods.colour_spaces import Decorrelated, Opponent
from normviz.methods.curve import Equalize, Gamma, Logarithm, MatchHistogram
from normviz.methods.dataset import (
    DatasetMean,
    DatasetMeanImage,
    DatasetPixelZScore,
    DatasetZScore,
)
from normviz.methods.features import (
    BatchNorm,
    FeatureNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    PositionalNorm,
    RMSNorm,
)
from normviz.methods.fixed import ScaleToSymmetric, ScaleToUnit, Unchanged
from normviz.methods.image import ImageChannelStandardize, ImageMean, ImageStandardize
from normviz.methods.local import (
    LCN,
    DivisiveLCN,
    DivisiveNormalization,
    LocalResponse,
    LocalStandardize,
    SubtractiveLCN,
)
from normviz.methods.norms import GlobalContrast, UnitL2, UnitMax
from normviz.methods.published import Published
from normviz.methods.retinex import MultiScaleRetinex, SingleScaleRetinex
from normviz.methods.running import BatchRenorm, RunningBatchNorm
from normviz.methods.stretch import ChannelMinMax, MinMax, PercentileStretch, Robust
from normviz.methods.transfer import Macenko, Reinhard
from normviz.methods.whitening import ColourPCA, ColourZCA, ImagePCA, ImageZCA, PatchZCA

FAMILIES: dict[str, tuple[type[Method], ...]] = {
    "Constants": (Unchanged, ScaleToUnit, ScaleToSymmetric),
    "Dataset": (DatasetMean, DatasetMeanImage, DatasetZScore, DatasetPixelZScore, BatchZScore),
    "Per image": (
        ImageMean,
        ImageStandardize,
        ImageChannelStandardize,
        MinMax,
        ChannelMinMax,
        PercentileStretch,
        Robust,
        GlobalContrast,
        UnitL2,
        UnitMax,
    ),
    "Curves and histograms": (Gamma, Logarithm, Equalize, CLAHE, MatchHistogram),
    "Local": (
        SubtractiveLCN,
        DivisiveLCN,
        LCN,
        LocalStandardize,
        DivisiveNormalization,
        LocalResponse,
    ),
    "Colour": (
        GreyWorld,
        WhitePatch,
        ShadesOfGrey,
        GreyEdge,
        VonKries,
        Opponent,
        Decorrelated,
        Reinhard,
        Macenko,
        SingleScaleRetinex,
        MultiScaleRetinex,
    ),
    "Whitening": (ColourPCA, ColourZCA, PatchZCA, ImagePCA, ImageZCA),
    "Published": (Published,),
}

METHODS: dict[str, type[Method]] = {
    method.key: method for family in FAMILIES.values() for method in family
}

FEATURE_NORMS: dict[str, type[FeatureNorm]] = {
    norm.key: norm
    for norm in (
        BatchNorm,
        RunningBatchNorm,
        BatchRenorm,
        LayerNorm,
        InstanceNorm,
        GroupNorm,
        RMSNorm,
        PositionalNorm,
    )
}
