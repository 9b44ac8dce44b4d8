"""An experiment of the lab on screen: its figure, verdicts and effects, and a live run of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import streamlit as st

from app import charts, keys
from app.cached import known, remembered
from app.controls import choice, whole
from app.frame import Frame, say_problems
from app.labelled import own_images
from app.runs import EVERY, Run
from app.text import plain
from app.views import style
from app.views.effects import effects_table, signed
from normviz.errors import NormvizError
from normviz.figures.lessons import bars, channel_shares, curves, nuisance_points, title_of
from normviz.figures.race import rate_map
from normviz.lab import (
    CLAIMS,
    EXPERIMENTS,
    OTHER_SEEDS,
    Experiment,
    OwnImages,
    Record,
    Workers,
    precomputed,
    run,
    stability,
    steadiness,
)
from normviz.lab.evidence import Effect
from normviz.lab.labelled import PHOTO_PATCHES
from normviz.lab.own_images import BOUNDS, OWN


def draw(shared: Frame, experiment: Experiment) -> None:
    """Its figure, verdicts, effects and limits; and the live run that replaces them."""
    running = _under_way().get(experiment.key)
    every = EVERY if running is not None and running.busy else None
    st.fragment(_draw, run_every=every)(
        shared, experiment, every is not None, result(experiment.key)
    )


def _draw(
    shared: Frame, experiment: Experiment, ticking: bool, shown: Mapping[str, Any] | None
) -> None:
    st.subheader(plain(experiment.title), anchor=False)
    st.markdown(plain(experiment.question))
    place, said = st.empty(), st.empty()
    running = _under_way().get(experiment.key)
    live = _run_controls(shared, experiment, running)
    # What stands above, a guess among it, speaks of the result too.
    if result(experiment.key) is not shown or (running is not None and running.busy) != ticking:
        st.rerun()
    if running is not None and running.busy:
        running.seen()
        _draw_running(place, running, experiment)
        return
    if running is not None and running.failed:
        st.warning(plain(running.failed))
    found = live or result(experiment.key)
    if found is None:
        place.info("This experiment has not been run yet; run it now.")
        return
    with place.container():
        _figure(experiment.key, found["tables"])
    with said.container():
        seeds = found["spec"]["seeds"]
        if live is not None:
            source = (
                f"Run now on {found['source']}, seeds {_span(seeds)}, {found['seconds']:.0f} s."
            )
        else:
            made = precomputed()
            source = (
                f"Computed beforehand on {made.date} (normviz {made.versions['normviz']}, NumPy "
                f"{made.versions['numpy']}) on {found['source']}, seeds {_span(seeds)}."
            )
        spread = "Bars and bands are the standard deviation over seeds, on log scales a factor."
        st.caption(plain(f"{source} {spread}"))
        for verdict in found["verdicts"]:
            claim = CLAIMS[verdict["claim"]]
            quote = f" “{claim.quote}”" if claim.quote else ""
            word, steady = shown_verdict(experiment, found, verdict)
            st.markdown(
                f"**Claim {claim.number}** ([{plain(claim.who)}]({claim.link})):{plain(quote)} "
                f"{plain(claim.says)}\n\n**Verdict: {plain(word)}.** "
                f"{plain(signed(verdict['because']))} {plain(steady)}"
            )
            with st.container(key=f"effects_{experiment.key}_{claim.number}"):
                st.html(
                    effects_table(
                        [Effect.of(record) for record in verdict["effects"]],
                        f"{experiment.title}, claim {claim.number}",
                    )
                )
        st.caption(plain(f"Limits: {experiment.limits}{_shared(found['source'])}"))


def _shared(source: str) -> str:
    """What all seeds of a result have in common, which its intervals therefore leave out."""
    if source == PHOTO_PATCHES.name:
        return " All seeds share the same ten photos."
    return " All seeds draw from the same images." if source.startswith(OWN) else ""


def shown_verdict(
    experiment: Experiment, found: Mapping[str, Any], verdict: Mapping[str, Any]
) -> tuple[str, str]:
    """The verdict's word, and how often other seeds give it where it is of the experiment's set."""
    if not _on_its_own(experiment, found):
        return verdict["word"], ""
    return steadiness(experiment.key, verdict["claim"], verdict["word"])


def on_own_images(key: str) -> bool:
    """Whether what is shown of an experiment is a run on the visitor's images."""
    found = result(key)
    return found is not None and found["source"].startswith(OWN)


def of_its_own(key: str) -> Mapping[str, Any] | None:
    """What is shown of an experiment, or what was computed beforehand if that is on own images."""
    return precomputed().results.get(key) if on_own_images(key) else result(key)


def ran_on(experiment: Experiment, found: Mapping[str, Any]) -> str:
    """Where a result is from, "" for what was computed beforehand."""
    live = st.session_state.get(keys.LAB_RUNS.name, {})
    if experiment.key not in live:
        return ""
    return f"run now on {found['source']}, seeds {_span(found['spec']['seeds'])}"


def same_elsewhere(
    experiment: Experiment, found: Mapping[str, Any], verdict: Mapping[str, Any]
) -> str:
    """How many other sets of seeds give the verdict: "20 of 20", "" where none were tried."""
    counts = stability().get(experiment.key, {}).get(verdict["claim"], {})
    if not counts or not _on_its_own(experiment, found):
        return ""
    return f"{counts.get(verdict['word'], 0)} of {sum(counts.values())}"


def _on_its_own(experiment: Experiment, found: Mapping[str, Any]) -> bool:
    """Whether a result is of the experiment's own images, and of seeds that are no others'."""
    own = experiment.source is None or found["source"] == experiment.source.name
    return own and max(found["spec"]["seeds"]) < OTHER_SEEDS


def _span(seeds: list[int]) -> str:
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"{seeds[0]}"


def result(key: str) -> Mapping[str, Any] | None:
    """The last live run of this session, else what was computed beforehand."""
    live = st.session_state.setdefault(keys.LAB_RUNS.name, {})
    return live.get(key) or precomputed().results.get(key)


def _under_way() -> dict[str, Run]:
    """This session's last run of each experiment."""
    return st.session_state.setdefault(keys.LAB_UNDER_WAY.name, {})


def _run_controls(
    shared: Frame, experiment: Experiment, running: Run | None
) -> Mapping[str, Any] | None:
    """Draw what starts and cancels a run. Return what this session has found."""
    runs = st.session_state.setdefault(keys.LAB_RUNS.name, {})
    busy = running is not None and running.busy
    if running is not None and running.result is not None:
        runs[experiment.key] = running.result
        del _under_way()[experiment.key]
    with st.container(horizontal=True, vertical_alignment="bottom", key=f"run_{experiment.key}"):
        with st.container(width=160):
            first = whole(
                dataclasses.replace(keys.LAB_SEED, name=f"seed_{experiment.key}"),
                "First seed",
                0,
                9999,
                "Seeds from here on are used; those computed beforehand begin at 0.",
            )
        own = None
        use = choice(
            dataclasses.replace(keys.LAB_IMAGES, name=f"images_{experiment.key}"),
            "On",
            {"its": "Its own set", "mine": "My images"},
            f"Yours are the images loaded in the sidebar, if they have labels. {BOUNDS}",
        )
        if use == "mine":
            say_problems(shared.loaded)
            try:
                own = own_images(shared.loaded)
            except NormvizError as error:
                st.warning(plain(str(error)))
                return runs.get(experiment.key)
            for note in (experiment.on_others, *own.notes):
                if note:
                    st.caption(plain(note))
        if running is not None and busy:
            st.button(
                "Cancel",
                key=f"cancel_{experiment.key}",
                icon=":material/close:",
                on_click=running.cancel,
            )
        else:
            st.button(
                "Run it now",
                key=f"run_now_{experiment.key}",
                icon=":material/play_arrow:",
                on_click=_start,
                args=(experiment, first, own),
            )
        if experiment.key in runs:
            st.button(
                "Back to what was computed beforehand",
                key=f"forget_{experiment.key}",
                on_click=runs.pop,
                args=(experiment.key, None),
            )
    return runs.get(experiment.key)


def _start(experiment: Experiment, first: int, own: OwnImages | None) -> None:
    """Begin a run with other seeds, unless what it comes to is known."""
    spec = experiment.spec
    spec = dataclasses.replace(spec, seeds=tuple(first + seed for seed in range(len(spec.seeds))))
    key = ("lab", experiment.key, spec, own.digest if own is not None else "")
    found = known(key)
    if found is not None:
        st.session_state[keys.LAB_RUNS.name][experiment.key] = found
        return

    def work(workers: Workers) -> Iterator[Any]:
        for one in run(experiment, spec, own, workers):
            yield one if isinstance(one, Record) else remembered(key, one.to_json)

    _under_way()[experiment.key] = Run(work)


def _draw_running(place: Any, running: Run, experiment: Experiment) -> None:
    """How far a run is, and the training curves of its first seed: the best of all rates."""
    news = list(running.news)
    total = len(experiment.spec.seeds)
    done = sum(record.kind == "seed" for record in news)
    lines: dict[str, dict[int, float]] = {}
    for record in news:
        # Experiments that train in another way than in steps side by side have other curves.
        told = record.kind == "curve" and "losses" in record.values
        if told and record.seed == news[0].seed:
            _grow(lines, record)
    with place.container():
        st.progress(done / total, text=f"{done} of {total} seeds, {running.seconds:.0f} s")
        recent = dict(list(lines.items())[-4:])
        if recent:
            steps = sorted({step for points in recent.values() for step in points})
            table = {
                name: [[points.get(step), 0.0] for step in steps] for name, points in recent.items()
            }
            st.plotly_chart(
                curves(steps, table, "step", "training loss, one seed (nats)", dark=style.dark()),
                theme=None,
                key=f"running_{experiment.key}",
                config={"staticPlot": True},
            )


def _grow(lines: dict[str, dict[int, float]], record: Record) -> None:
    values = record.values
    losses = [loss for loss in values["losses"] if loss is not None]
    about = [
        title_of(str(values[name])) for name in values if name not in ("rates", "step", "losses")
    ]
    if losses:
        lines.setdefault(", ".join(about), {})[values["step"]] = min(losses)


def _figure(key: str, tables: Mapping[str, Any]) -> None:
    """The experiment's figure, with the one control that it has."""
    dark = style.dark()
    figure = FIGURES[key](tables, dark)
    charts.draw(
        figure,
        key=f"figure_{key}",
        alt=EXPERIMENTS[key].title,
    )


def _pick(key: str, label: str, options: Mapping[str, str]) -> str:
    name = keys.Key(f"show_{key}", next(iter(options)))
    return choice(name, label, options)


def _conditioning(tables: Mapping[str, Any], dark: bool) -> Any:
    what = _pick(
        "conditioning",
        "Show",
        {
            "condition": "Condition number",
            "stable": "Largest stable rate",
            "own_loss": "Loss at its best rate",
        },
    )
    titles = {
        "condition": "λ1 / λmedian of the Hessian (log scale)",
        "stable": "largest learning rate that falls in each step (log scale)",
        "own_loss": "training loss after 150 steps (nats)",
    }
    groups = {"": {key: row[what] for key, row in tables["methods"].items()}}
    return bars(groups, titles[what], dark=dark, log=what != "own_loss")


def _curvature(tables: Mapping[str, Any], dark: bool) -> Any:
    names = {"plain": "without batch norm", "norm": "with batch norm"}
    groups = {names[key]: row for key, row in tables["largest"].items()}
    return bars(groups, "largest curvature λmax (log scale)", dark=dark, log=True)


def _one_rate(tables: Mapping[str, Any], dark: bool) -> Any:
    rule = _pick("one_rate", "Optimizer", {"sgd": "SGD", "adam": "Adam"})
    table = tables[rule]
    losses = np.array([[pair[0] for pair in row] for row in table.values()], np.float64)
    titles = [title_of(key) for key in table]
    rates = [float(f"{rate:.2g}") for rate in tables["rates"][rule]]
    return rate_map(losses, None, titles, rates, math.log(10), dark=dark)


def _shift(tables: Mapping[str, Any], dark: bool) -> Any:
    light = _pick(
        "shift",
        "Trained in light spread by",
        {f"{at}": f"σ = {sigma:g} EV" for at, sigma in enumerate(tables["sigmas"])},
    )
    lines = {key: rows[int(light)] for key, rows in tables["accuracy"].items()}
    return curves(tables["shifts"], lines, "light of the test (EV)", "right (%)", dark=dark)


def _nuisance(tables: Mapping[str, Any], dark: bool) -> Any:
    title = "spread of the light, training and test (σ, EV)"
    return curves(tables["sigmas"], tables["accuracy"], title, "right (%)", dark=dark)


def _signal(tables: Mapping[str, Any], dark: bool) -> Any:
    return curves(
        tables["sigmas"],
        tables["accuracy"],
        "spread of the light (σ, EV)",
        "right (%), chance is 50",
        dark=dark,
        reference=("best possible", tables["best_possible"]),
    )


def _batch_norm(tables: Mapping[str, Any], dark: bool) -> Any:
    net = _pick(
        "batch_norm",
        "Network",
        {"plain": "Without", "norm": "With batch norm", "padded": "With it and zero padding"},
    )
    return curves(
        tables["rates"],
        tables["final"][net],
        "learning rate (log scale)",
        "training loss (nats)",
        dark=dark,
        log_x=True,
    )


def _full_batch(tables: Mapping[str, Any], dark: bool) -> Any:
    found = tables["curves_of_first_seed"]
    names = {"plain": "dataset's mean and std", "norm": "the same and batch norm twice"}
    steps = [5 * (at + 1) for at in range(len(found["plain"]))]
    lines = {names[key]: [[value, 0.0] for value in row] for key, row in found.items()}
    return curves(steps, lines, "step on all images at once", "loss, first seed (nats)", dark=dark)


def _batch_statistics(tables: Mapping[str, Any], dark: bool) -> Any:
    lines = {"error of the mean": tables["mean_error"], "error of the std": tables["std_error"]}
    # None where all images have one and the same brightness.
    first = tables["mean_error"][0][0] or math.nan
    ideal = [first * (tables["sizes"][0] / n) ** 0.5 for n in tables["sizes"]]
    return curves(
        tables["sizes"],
        lines,
        "images in the batch (log scale)",
        "error (dataset stds, log scale)",
        dark=dark,
        reference=("1/√n", ideal),
        log_x=True,
        log_y=True,
    )


def _one_step(tables: Mapping[str, Any], dark: bool) -> Any:
    lines = {"gradient points downhill": tables["downhill"], "the full loss falls": tables["falls"]}
    title = "images a step (log scale)"
    return curves(tables["sizes"], lines, title, "of steps (%)", dark=dark, log_x=True)


def _day_night(tables: Mapping[str, Any], dark: bool) -> Any:
    net = _pick("day_night", "Filters", {"trained": "Trained", "random": "Random"})
    groups = {
        light: {
            key: [100 * value for value in row[light]] for key, row in tables["firing"][net].items()
        }
        for light in ("day", "night")
    }
    return bars(groups, "units that fire (%)", dark=dark)


def _mean_image(tables: Mapping[str, Any], dark: bool) -> Any:
    names = {"crops": "random crops of photos", "digits": "digits", "own": "your images"}
    groups = {names[key]: row["accuracy"] for key, row in tables.items()}
    return bars(groups, "right (%)", dark=dark)


def _channel_gradients(tables: Mapping[str, Any], dark: bool) -> Any:
    return channel_shares(tables["methods"], dark=dark)


def _colour(tables: Mapping[str, Any], dark: bool) -> Any:
    title = "colour of the test's light (EV, red up and blue down)"
    return curves(tables["shifts"], tables["accuracy"], title, "right (%)", dark=dark)


def _variance_split(tables: Mapping[str, Any], dark: bool) -> Any:
    by = _pick(
        "variance_split",
        "Across",
        {"share": "Share of nuisance", "correlation": "Intra-class correlation"},
    )
    return nuisance_points(tables["points"], by, dark=dark)


FIGURES = {
    "conditioning": _conditioning,
    "curvature": _curvature,
    "one_rate": _one_rate,
    "shift": _shift,
    "nuisance": _nuisance,
    "signal": _signal,
    "batch_norm": _batch_norm,
    "full_batch": _full_batch,
    "batch_statistics": _batch_statistics,
    "one_step": _one_step,
    "day_night": _day_night,
    "mean_image": _mean_image,
    "channel_gradients": _channel_gradients,
    "colour": _colour,
    "variance_split": _variance_split,
}
