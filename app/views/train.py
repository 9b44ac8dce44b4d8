"""Train: a race of normalizations, the same network learning under each of them at once."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st
from PIL import Image as PillowImage
from streamlit.delta_generator import DeltaGenerator

from app import keys
from app.controls import choice, menu, several, slider, whole
from app.frame import Frame, say_problems, say_unused
from app.labelled import own_images
from app.races import Running, which
from app.text import plain
from app.views import style
from app.views.table import table_html
from normviz.errors import NormvizError, ParameterError
from normviz.figures.race import (
    Bar,
    RaceLine,
    accuracy_bars,
    colour_of,
    filter_sheet,
    race_curves,
    rate_map,
)
from normviz.lab.contest import MOST_METHODS, MOST_SEEDS, NORMS, RaceSpec
from normviz.lab.course import FEWEST_SEEDS, Course, Line, sentence, short_title, stored
from normviz.lab.evidence import Effect
from normviz.lab.labelled import DIGITS, PHOTO_PATCHES, LabelledSet
from normviz.lab.normalizations import NORMALIZATIONS
from normviz.lab.own_images import BOUNDS

GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
OPTIMIZERS = {"sgd": "SGD", "momentum": "SGD, momentum 0.9", "adam": "Adam"}
NORM_LAYERS = {"none": "None", **{name: name.capitalize() for name in NORMS}}
OWN = "loaded"
SETS = {"photos": "Photo patches", "digits": "Digits", OWN: "The images loaded"}
MOST_SIGMA, MOST_SHIFT = 3.0, 4.0
MOST_STEPS = 600

_TOP = 1.6
"""The chart of losses ends at so many times the loss of guessing."""

MOST_KEPT = 4
"""So many of a visitor's races are kept while others are looked at."""

_EVERY = 0.5
"""A running race is drawn anew after so many seconds."""


def page(shared: Frame) -> None:
    """Draw the race; while one runs the page draws itself again and again."""
    say_unused(shared)
    running: Running | None = st.session_state.get(keys.RACE.name)
    every = _EVERY if running is not None and running.busy else None
    st.fragment(_body, run_every=every)(shared, every is not None)


def left() -> None:
    """Pause the visitor's race, since another page is looked at."""
    running: Running | None = st.session_state.get(keys.RACE.name)
    if running is not None:
        running.pause()


def _body(shared: Frame, ticking: bool) -> None:
    # Containers keep what they show until it is drawn anew; empty places would flicker.
    head, origin = st.container(), st.container()
    source = _pick_source(shared)
    if source is None:
        head.markdown("#### A race cannot be run on these images")
        return
    try:
        spec = _pick_spec()
    except ParameterError as error:
        head.markdown("#### This race cannot be run")
        st.error(plain(str(error)))
        return
    running = _running(spec, source)
    if running is not None:
        running.seen()
    # Asked before the course: one that rests is at its last step then.
    busy = running is not None and running.busy
    if busy != ticking:
        st.rerun()
    _buttons(spec, source, running)
    if running is not None and running.failed:
        st.error(plain(running.failed))
    if running is None or not running.course.rounds:
        course = stored().course
        origin.caption(plain(_stored_words(spec, source, running)))
    else:
        course = running.course
        origin.caption(plain(_live_words(running, busy)))
    rates = _pick_rate_shown(course)
    reference = _reference_of(course)
    head.markdown(f"#### {plain(sentence(course, rates, reference))}")
    _curves(course, rates)
    _end(course, rates, reference)
    _first_layer(course, rates)
    st.caption(plain(_limits(course)))


def _running(spec: RaceSpec, source: LabelledSet) -> Running | None:
    """The visitor's race of these settings; one of others is paused, and kept for its return."""
    running: Running | None = st.session_state.get(keys.RACE.name)
    if running is None or not running.is_of(spec, source):
        if running is not None:
            running.pause()
        running = _kept().get((spec, which(source)))
        st.session_state[keys.RACE.name] = running
    return running


def _kept() -> dict[tuple[RaceSpec, object], Running]:
    """The visitor's last races, by their settings."""
    return st.session_state.setdefault(keys.RACES.name, {})


def _new(spec: RaceSpec, source: LabelledSet) -> Running:
    kept = _kept()
    while len(kept) >= MOST_KEPT:
        del kept[next(iter(kept))]
    running = kept[spec, which(source)] = Running(spec, source)
    st.session_state[keys.RACE.name] = running
    return running


# ---------------------------------------------------------------------------------------- settings


def _pick_source(shared: Frame) -> LabelledSet | None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="race_first"):
        with st.container(width=620):
            several(
                keys.RACERS,
                "Methods",
                {name: short_title(name) for name in NORMALIZATIONS},
                MOST_METHODS,
                f"The columns of the race, at most {MOST_METHODS}. Each is fitted on the training "
                "images alone.",
            )
        with st.container(width=400):
            picked = choice(
                keys.RACE_SET,
                "Images",
                SETS,
                "Patches of ten photos, whose class is their photo; handwritten digits; or the "
                f"images loaded in the sidebar, if they have labels. {BOUNDS}",
            )
    if picked == OWN:
        say_problems(shared.loaded)
        try:
            return own_images(shared.loaded)
        except NormvizError as error:
            st.error(plain(str(error)))
            return None
    return DIGITS if picked == "digits" else PHOTO_PATCHES


def _pick_spec() -> RaceSpec:
    """Draw the other settings and return what they say."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="race_second"):
        with st.container(width=330):
            optimizer = choice(keys.RACE_OPTIMIZER, "Optimizer", OPTIMIZERS)
        with st.container(width=240):
            options = {f"{rate:g}": f"{rate:g}" for rate in GRID}
            options["grid"] = f"All, {GRID[0]:g} to {GRID[-1]:g}"
            rate = menu(
                keys.RACE_RATE,
                "Learning rate",
                options,
                "One for all methods, or a grid of seven that each method is trained at.",
            )
        with st.container(width=420):
            norm = choice(
                keys.RACE_NORM,
                "Norm layers",
                NORM_LAYERS,
                "After both convolutions of the network, before their ReLU.",
            )
    with (
        st.expander("Light, steps and seeds", key="race_more"),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        train = _pick_light(keys.TRAIN_SIGMA, keys.TRAIN_SHIFT, "Training")
        test = _pick_light(keys.TEST_SIGMA, keys.TEST_SHIFT, "Test")
        with st.container(width=200):
            steps = slider(keys.RACE_STEPS, "Steps", 10, MOST_STEPS, 10)
        with st.container(width=160):
            batch = whole(keys.RACE_BATCH, "Images a batch", 2, 128)
        with st.container(width=160):
            many = whole(
                keys.RACE_SEEDS,
                "Seeds",
                1,
                MOST_SEEDS,
                "So many repetitions, each with its own split, light, start and batches, the same "
                "for all methods: differences are paired.",
            )
        with st.container(width=160):
            first = whole(keys.FIRST_SEED, "First seed", 0, 9999)
    chosen = st.session_state.get(keys.RACERS.name) or ()
    methods = tuple(name for name in NORMALIZATIONS if name in chosen)[:MOST_METHODS]
    if not methods:
        raise ParameterError("Choose at least one method.")
    return RaceSpec(
        seeds=tuple(range(first, first + many)),
        methods=methods,
        norm=None if norm == "none" else norm,
        optimizer=optimizer,
        rates=GRID if rate == "grid" else (float(rate),),
        steps=steps,
        batch=batch,
        train_sigma=train[0],
        train_shift=train[1],
        test_sigma=test[0],
        test_shift=test[1],
    )


def _pick_light(sigma: keys.Key, shift: keys.Key, what: str) -> tuple[float, float]:
    with st.container(width=200):
        spread = slider(
            sigma,
            f"{what}: spread of light (σ, EV)",
            0.0,
            MOST_SIGMA,
            0.1,
            "Each image is exposed by its own EV from N(shift, σ²), in linear light.",
        )
    with st.container(width=200):
        shifted = slider(
            shift,
            f"{what}: shift of light (EV)",
            -MOST_SHIFT,
            MOST_SHIFT,
            0.5,
            "All images darker (below 0) or brighter, besides their spread.",
        )
    return round(spread, 6), round(shifted, 6)


def _buttons(spec: RaceSpec, source: LabelledSet, running: Running | None) -> None:
    going = running is not None and running.going
    done = running is not None and running.done
    with st.container(horizontal=True, vertical_alignment="center", key="race_buttons"):
        st.button(
            "Start",
            key="race_start",
            icon=":material/play_arrow:",
            disabled=running is not None and not done,
            on_click=_start,
            args=(spec, source),
        )
        st.button(
            "Go on" if running is not None and not going and not done else "Pause",
            key="race_pause",
            disabled=running is None or done,
            on_click=_toggle,
        )
        st.button(
            "Step",
            key="race_step",
            disabled=going or done,
            on_click=_step,
            args=(spec, source),
            help=f"{spec.every} training steps of every method and seed.",
        )
        st.button("Reset", key="race_reset", disabled=running is None, on_click=_reset)
        st.caption(plain(_work_words(spec)))


def _start(spec: RaceSpec, source: LabelledSet) -> None:
    _reset()
    _new(spec, source).go()


def _toggle() -> None:
    running: Running | None = st.session_state.get(keys.RACE.name)
    if running is None:
        return
    if running.going:
        running.pause()
    else:
        running.go()


def _step(spec: RaceSpec, source: LabelledSet) -> None:
    running: Running | None = st.session_state.get(keys.RACE.name)
    (running or _new(spec, source)).step()


def _reset() -> None:
    running: Running | None = st.session_state.pop(keys.RACE.name, None)
    if running is not None:
        running.pause()
        _kept().pop((running.course.spec, which(running.source)), None)


# ------------------------------------------------------------------------------------------- words


def _settings_words(spec: RaceSpec) -> str:
    seeds = spec.seeds
    rate = (
        f"learning rate {spec.rates[0]:g}"
        if len(spec.rates) == 1
        else f"{len(spec.rates)} learning rates"
    )
    norms = f"{spec.norm} norm" if spec.norm else "no norm layers"
    return (
        f"{OPTIMIZERS[spec.optimizer]}, {rate}, {norms}, batches of {spec.batch}; light in "
        f"training {_light_words(spec.train_sigma, spec.train_shift)}, in test "
        f"{_light_words(spec.test_sigma, spec.test_shift)}; "
        + (f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}")
    )


def _light_words(sigma: float, shift: float) -> str:
    shifted = f" at {shift:+g} EV".replace("-", "−") if shift else ""
    return f"σ {sigma:g} EV{shifted}"


def _stored_words(spec: RaceSpec, source: LabelledSet, running: Running | None) -> str:
    kept = stored()
    said = (
        f"Computed beforehand on {kept.date}: {kept.course.source}, "
        f"{_settings_words(kept.course.spec)}. "
    )
    if running is not None:
        return said + "Yours has begun and takes this one's place with its first round."
    if spec == kept.course.spec and source is PHOTO_PATCHES:
        return said + "Start runs it before your eyes."
    return said + "Your settings differ from it: Start runs yours."


def _live_words(running: Running, busy: bool) -> str:
    course = running.course
    state = (
        f"run in {running.seconds:.1f} s"
        if course.finish is not None
        else "running"
        if running.going
        else "pausing after this round"
        if busy
        else f"paused at step {course.step}"
    )
    text = f"Your race, {state}: {course.source}, {_settings_words(course.spec)}."
    return text + "".join(f" {note}" for note in getattr(running.source, "notes", ()))


def _work_words(spec: RaceSpec) -> str:
    runs = len(spec.methods) * len(spec.rates) * len(spec.seeds)
    return f"{runs} runs of {spec.steps} steps"


def _limits(course: Course) -> str:
    shared = "all seeds share the same ten photos; " if course.source == PHOTO_PATCHES.name else ""
    return (
        "What this cannot show: the network is small (5 × 5 and 2 × 2 convolutions with 16 and 32 "
        f"filters, one linear layer) and briefly trained; {shared}one learning rate suits one "
        "method better than another, so compare at each one's best too. A difference of "
        f"{course.spec.relevant:g} points was fixed beforehand as the least that matters."
    )


# ----------------------------------------------------------------------------------------- figures


def _pick_rate_shown(course: Course) -> tuple[int, ...]:
    """The place in the rates at which each method is drawn."""
    rates = course.spec.rates
    if len(rates) == 1:
        return (0,) * len(course.spec.methods)
    options = {"best": "Each method's best"} | {f"{rate:g}": f"{rate:g}" for rate in rates}
    with st.container(width=260):
        shown = menu(
            keys.RATE_SHOWN,
            "Drawn at learning rate",
            options,
            "The best is the one with the lowest training loss; test images have no say in it.",
        )
    if shown == "best":
        return course.best()
    return (rates.index(float(shown)),) * len(course.spec.methods)


def _reference_of(course: Course) -> str:
    picked = st.session_state.get(keys.RACE_REFERENCE.name)
    return picked if picked in course.spec.methods else course.spec.methods[0]


_DASHES = (("solid", "solid"), ("dash", "dashed"), ("dot", "dotted"))
"""Plotly's and CSS's names of what tells lines apart that have nearly one colour."""


def _lines(course: Course, rates: Sequence[int], measure: str) -> list[RaceLine]:
    return [
        RaceLine(
            short_title(name), colour_of(name), course.line(at, rate, measure), _DASHES[at % 3][0]
        )
        for at, (name, rate) in enumerate(zip(course.spec.methods, rates, strict=True))
    ]


def _curves(course: Course, rates: Sequence[int]) -> None:
    guessing = math.log(course.classes)
    top = _TOP * guessing
    left, right = st.columns([3, 2], gap="large")
    with left:
        lines = _lines(course, rates, "loss")
        st.plotly_chart(
            race_curves(
                lines,
                unit="training loss (nats)",
                steps=course.spec.steps,
                level=(guessing, "guessing"),
                top=top,
                dark=style.dark(),
            ),
            theme=None,
            key="race_loss",
            config={"displayModeBar": False},
            alt="Training loss of every method over the steps",
        )
        with st.container(key="race_legend"):
            st.html(_legend(course, rates, lines, top))
    with right:
        if course.finish is None:
            st.caption("How many test images each method names rightly is measured at the end.")
            return
        accuracies = course.accuracies(rates)
        bars = [
            Bar(short_title(mean.what), colour_of(mean.what), mean, own)
            for mean, own in zip(course.means(rates), accuracies, strict=True)
        ]
        st.plotly_chart(
            accuracy_bars(bars, 100 / course.classes, dark=style.dark()),
            theme=None,
            key="race_accuracy",
            config={"displayModeBar": False},
            alt="Test accuracy of every method",
        )
        many = len(course.spec.seeds)
        st.caption(
            f"Bars are means over {many} seeds with 95 % intervals, dots the seeds; bands of "
            "curves go from the lowest seed to the highest."
            if many > 1
            else "One seed has no interval."
        )


def _legend(course: Course, rates: Sequence[int], lines: Sequence[RaceLine], top: float) -> str:
    entries = []
    dashes = dict(_DASHES)
    for one, rate in zip(lines, rates, strict=True):
        said = one.title
        if len(course.spec.rates) > 1:
            said += f" at {course.spec.rates[rate]:g}"
        said += _beyond_words(one.line, top)
        said += _diverged_words(one.line, len(course.spec.seeds))
        entries.append(
            f'<span class="nv-key"><i style="border-top:3px {dashes[one.dash]} {one.colour}"></i>'
            f"{escape(said)}</span>"
        )
    return f'<div class="nv-keys">{"".join(entries)}</div>'


def _beyond_words(line: Line, top: float) -> str:
    """Say how far a line goes that leaves the picture."""
    peak = max(line.mean, default=0.0)
    if peak <= top:
        return ""
    return f" ↑ up to {peak:,.0f} at step {line.steps[line.mean.index(peak)]}"


def _diverged_words(line: Line, seeds: int) -> str:
    if not line.diverged:
        return ""
    return f" × diverged by step {line.ended} ({line.diverged} of {seeds} seeds)"


_FOUND = {
    "more": "better",
    "less": "worse",
    "same": "no difference that matters",
    "open": "undecided",
}


def _end(course: Course, rates: Sequence[int], reference: str) -> None:
    if course.finish is None:
        return
    st.subheader("How it ended", anchor=False)
    if len(course.spec.methods) > 1:
        options = {name: short_title(name) for name in course.spec.methods}
        with st.container(width=260):
            picked = menu(
                keys.RACE_REFERENCE, "Held against", options, "Differences are from this method."
            )
        reference = picked if picked in course.spec.methods else reference
    with st.container(key="race_table"):
        st.html(_table(course, rates, reference))
    st.caption(
        "Accuracy and differences with 95 % intervals over seeds; differences are paired, seed by "
        "seed, and p-values are Holm's, corrected for the number of methods compared."
    )
    if len(course.spec.rates) > 1:
        _rate_map(course)


def _table(course: Course, rates: Sequence[int], reference: str) -> str:
    found = {one.what: one for one in course.differences(rates, reference)}
    losses = course.losses()
    head = ["method", "learning rate", "training loss (nats)", "test images right"]
    head += [f"against {short_title(reference)}", "p", "so it is"]
    rows = []
    nothing = bool(course.unlearned(rates))
    for at, (mean, rate) in enumerate(zip(course.means(rates), rates, strict=True)):
        loss = losses[at, rate]
        cells = [
            short_title(mean.what),
            f"{course.spec.rates[rate]:g}",
            f"{loss:.2f}" if np.isfinite(loss) else "diverged",
            _with_interval(mean, "%"),
        ]
        one = found.get(mean.what)
        if one is None:
            cells += ["–", "–", "the reference"]
        elif one.seeds < FEWEST_SEEDS:
            cells += [f"{one.mean:+.1f} points".replace("-", "−"), "–", "too few seeds to say"]
        else:
            p = "< 0.001" if one.p < 0.001 else f"{one.p:.3f}"
            so = "nothing learned" if nothing else _FOUND[one.finding]
            cells += [_with_interval(one, "points", sign=True), p, so]
        rows.append(cells)
    return table_html(head, rows, "How the race ended")


def _with_interval(effect: Effect, unit: str, sign: bool = False) -> str:
    mean = f"{effect.mean:{'+' if sign else ''}.1f}".replace("-", "−")
    if not math.isfinite(effect.half):
        return f"{mean} {unit}"
    if effect.cut:
        ends = f"{effect.low:.1f} to {effect.high:.1f}".replace("-", "−")
        return f"{mean} {unit} ({ends})"
    return f"{mean} ± {effect.half:.1f} {unit}"


def _rate_map(course: Course) -> None:
    assert course.finish is not None
    st.subheader("Every learning rate", anchor=False)
    st.plotly_chart(
        rate_map(
            course.losses(),
            100 * course.finish.accuracy.mean(axis=-1),
            [short_title(name) for name in course.spec.methods],
            course.spec.rates,
            math.log(course.classes),
            dark=style.dark(),
        ),
        theme=None,
        key="race_rates",
        config={"displayModeBar": False},
        alt="Final training loss of every method at every learning rate",
    )
    st.caption("Mean training loss of the last 20 batches over the seeds; dark is low.")


def _first_layer(course: Course, rates: Sequence[int]) -> None:
    st.subheader("What the first layer does meanwhile", anchor=False)
    left, right = st.columns(2, gap="large")
    charts: tuple[tuple[DeltaGenerator, str, str, bool], ...] = (
        (left, "firing", "units that fire (%)", True),
        (right, "std", "std before the ReLU", False),
    )
    for place, measure, unit, percent in charts:
        place.plotly_chart(
            race_curves(
                _lines(course, rates, measure),
                unit=unit,
                steps=course.spec.steps,
                percent=percent,
                top=100.0 if percent else None,
                height=260,
                dark=style.dark(),
            ),
            theme=None,
            key=f"race_{measure}",
            config={"displayModeBar": False},
            alt=f"First layer: {unit}, over the steps",
        )
    st.html(f'<div class="nv-strip nv-filters">{"".join(_filters(course, rates))}</div>')
    st.caption(
        f"Left the 16 filters of the first layer after step {course.step}, seed "
        f"{course.spec.seeds[0]}, right what training has changed in them: grey is 0, each picture "
        "to its own largest weight. All methods start from the same filters; the percentage is "
        "the size of the change to that of the start. The charts are of 64 test images."
    )


def _filters(course: Course, rates: Sequence[int]) -> list[str]:
    last = course.rounds[-1]
    found = []
    for at, (name, rate) in enumerate(zip(course.spec.methods, rates, strict=True)):
        filters, moved = last.filters[at, rate], last.moved[at, rate]
        title = escape(short_title(name), quote=True)
        with np.errstate(all="ignore"):
            share = 100 * float(np.linalg.norm(moved) / np.linalg.norm(filters - moved))
        said = f"changed by {share:.0f} %" if share < 1000 else "thrown far off"
        said = said if math.isfinite(share) else "diverged"
        pictures = "".join(
            f"<img class='nv-small' alt='{what} {title}' src='{_picture(weights)}'>"
            for weights, what in (
                (filters, "First-layer filters under"),
                (moved, "What training changed in the filters under"),
            )
        )
        found.append(f"<figure>{pictures}<figcaption>{title}: {said}</figcaption></figure>")
    return found


def _picture(weights: np.ndarray) -> str:
    sheet = filter_sheet(weights)
    stream = io.BytesIO()
    PillowImage.fromarray(sheet[..., 0] if sheet.shape[-1] == 1 else sheet).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
