"""Every claim of the question as a live experiment, in plain NumPy."""

from normviz.lab.claims import CLAIMS, Claim
from normviz.lab.evidence import Effect, Verdict
from normviz.lab.experiment import Experiment, Record, Result, Spec, result_of, run
from normviz.lab.experiments import EXPERIMENTS
from normviz.lab.labelled import DIGITS, PHOTO_PATCHES, SETS, LabelledSet
from normviz.lab.normalizations import NORMALIZATIONS
from normviz.lab.own_images import OwnImages
from normviz.lab.precomputed import OTHER_SEEDS, Precomputed, precomputed, stability, steadiness
from normviz.lab.workers import Workers

__all__ = [
    "CLAIMS",
    "DIGITS",
    "EXPERIMENTS",
    "NORMALIZATIONS",
    "OTHER_SEEDS",
    "PHOTO_PATCHES",
    "SETS",
    "Claim",
    "Effect",
    "Experiment",
    "LabelledSet",
    "OwnImages",
    "Precomputed",
    "Record",
    "Result",
    "Spec",
    "Verdict",
    "Workers",
    "precomputed",
    "result_of",
    "run",
    "stability",
    "steadiness",
]
