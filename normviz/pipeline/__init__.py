"""Preprocessing pipelines: ordered steps, each with parameters, fitted, stored and explained."""

from normviz.pipeline.base import Kind, Step, StepAbout
from normviz.pipeline.pipeline import Arriving, FittedPipeline, Pipeline, Stage
from normviz.pipeline.registry import STEPS
from normviz.pipeline.stored import from_json

__all__ = [
    "STEPS",
    "Arriving",
    "FittedPipeline",
    "Kind",
    "Pipeline",
    "Stage",
    "Step",
    "StepAbout",
    "from_json",
]
