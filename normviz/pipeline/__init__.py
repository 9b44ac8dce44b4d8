"""Preprocessing pipelines: ordered steps, each with parameters, fitted, stored and explained."""

from normviz.pipeline.base import BYTES, Kind, Step, StepAbout
from normviz.pipeline.effect import (
    OrderEffect,
    StepStatistics,
    arriving,
    order_effect,
    statistics_along,
)
from normviz.pipeline.known import (
    KNOWN,
    MEASURED_AFTER_RESIZE,
    MEASURED_AT_FULL_SIZE,
    Known,
)
from normviz.pipeline.pipeline import Arriving, FittedPipeline, Pipeline, Stage
from normviz.pipeline.registry import STEPS
from normviz.pipeline.remarks import remarks
from normviz.pipeline.stored import from_json
from normviz.pipeline.through import Through, through

__all__ = [
    "BYTES",
    "KNOWN",
    "MEASURED_AFTER_RESIZE",
    "MEASURED_AT_FULL_SIZE",
    "STEPS",
    "Arriving",
    "FittedPipeline",
    "Kind",
    "Known",
    "OrderEffect",
    "Pipeline",
    "Stage",
    "Step",
    "StepAbout",
    "StepStatistics",
    "Through",
    "arriving",
    "from_json",
    "order_effect",
    "remarks",
    "statistics_along",
    "through",
]
