"""Every claim as an experiment, one file each; :data:`EXPERIMENTS` is the only list of them."""

from normviz.lab.experiment import Experiment
from normviz.lab.experiments import (
    batch_norm,
    batch_statistics,
    channel_gradients,
    colour,
    conditioning,
    curvature,
    day_night,
    full_batch,
    mean_image,
    nuisance,
    one_rate,
    one_step,
    shift,
    signal,
    variance_split,
)

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.key: module.EXPERIMENT
    for module in (
        conditioning,
        curvature,
        one_rate,
        shift,
        nuisance,
        signal,
        batch_norm,
        full_batch,
        batch_statistics,
        one_step,
        day_night,
        mean_image,
        channel_gradients,
        colour,
        variance_split,
    )
}
