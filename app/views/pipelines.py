"""Pipelines: a model's preprocessing step by step, and what the order of its steps does."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image as PillowImage

from app import keys
from app.cached import lit, remembered
from app.controls import menu
from app.frame import Frame, say_source
from app.sources import Collection
from app.text import plain
from app.views.compare import NONE_READABLE
from normviz.display import to_bytes
from normviz.errors import NormvizError, NotFittedError, ParameterError, ReadError
from normviz.images import Image
from normviz.imports import read_normalization
from normviz.imports.found import MeanImage
from normviz.methods import METHODS
from normviz.pipeline import (
    KNOWN,
    MEASURED_AFTER_RESIZE,
    MEASURED_AT_FULL_SIZE,
    STEPS,
    FittedPipeline,
    Pipeline,
    Stage,
    Step,
    StepStatistics,
    from_json,
    order_effect,
    remarks,
    statistics_along,
)
from normviz.pipeline.method import Normalize

# Statistics along the way are taken on at most this many images, evenly spread, at full size.
MOST_IMAGES = 16

MOST_STEPS = 12

_SHOWN = 320
"""Longer side of a stage's picture on screen, in px."""

_FIRST = KNOWN["resnet50"].pipeline

_EXAMPLES = {
    "after_resize": ("Your set's mean and std, measured after resizing", MEASURED_AFTER_RESIZE),
    "full_size": ("Your set's mean and std, measured at full size", MEASURED_AT_FULL_SIZE),
}


@dataclass(frozen=True, eq=False)
class _Given:
    """What the steps that take numbers of a set are fitted on: images, or constants."""

    key: str
    value: Any
    words: str
    images: int = 0
    """How many images; 0 for constants."""


def _starts() -> dict[str, tuple[str, Pipeline]]:
    known = {key: (one.title, one.pipeline) for key, one in KNOWN.items()}
    return {**known, **_EXAMPLES}


def page(shared: Frame) -> None:
    """Draw the steps, what each makes of an image and of the set, and another order beside it."""
    say_source(shared)
    if not len(shared.collection):
        st.info(NONE_READABLE)
        return
    _body(shared)


@st.fragment
def _body(shared: Frame) -> None:
    name = keys.PIPELINE.name
    st.session_state.setdefault(name, st.query_params.get(name) or _text(_FIRST))
    with st.container(horizontal=True, vertical_alignment="bottom", key="pipeline_controls"):
        with st.container(width=420):
            starts = {key: title for key, (title, _) in _starts().items()}
            st.selectbox(
                "Start from",
                list(starts),
                format_func=starts.get,
                index=None,
                placeholder="A published model's preprocessing …",
                key="pipeline_start",
                on_change=_start,
                help="Replaces the steps below.",
            )
        with st.container(width=300):
            index, image = _image(shared)
    text = st.session_state[keys.PIPELINE.name]
    pipeline, wrong = _parsed(text)
    problem = st.session_state.pop("pipeline_problem", "") or wrong
    if problem:
        st.warning(plain(problem))
    if said := st.session_state.pop("pipeline_said", ""):
        st.info(plain(said))
    images = _images(shared.collection)
    with st.container(key="pipeline_columns"):
        left, right = st.columns([1, 2], gap="large")
    with left:
        _steps(pipeline)
        _as_json()
        given = _given(shared, pipeline)
    # On a phone the result stands above the steps, and what follows from them below (style.py).
    result = right.container(key="pipeline_result")
    further = right.container(key="pipeline_further")
    if image is None:
        result.info("This image could not be read; choose another one.")
        return
    fitted, failed = _as_far_as_it_goes(pipeline, given, shared.missing, image)
    with result:
        if failed:
            st.warning(plain(failed), icon=":material/block:")
        _stages(fitted, image, shared.collection.titles[index])
        if given is not None and fitted.pipeline.fits_on:
            st.caption(plain(_fitted_on(fitted.pipeline.steps, given)))
        for said in remarks(pipeline):
            if said != failed:
                st.warning(plain(said), icon=":material/rule:")
    with further:
        _along(shared, fitted, given, images)
        if not failed:
            _other_order(fitted, given, shared.missing, images)
            _code(fitted)


def _as_far_as_it_goes(
    pipeline: Pipeline, given: _Given | None, missing: str, image: Image
) -> tuple[FittedPipeline, str]:
    """The longest part of the pipeline that works on the image, and why the rest does not."""
    failed = ""
    for length in range(len(pipeline.steps), 0, -1):
        part = Pipeline(pipeline.steps[:length])
        try:
            fitted = _fitted(part, given, missing)
            list(fitted.stages(image))
            return fitted, failed
        except NormvizError as error:
            failed = str(error)
    return Pipeline().fit(), failed


# ---------------------------------------------------------------------------------- the steps


def _text(pipeline: Pipeline) -> str:
    return pipeline.to_json()


def _parsed(text: str) -> tuple[Pipeline, str]:
    """The pipeline of the text; an empty one and the reason when it is none."""
    try:
        return _drawable(_stored(text)), ""
    except ParameterError as error:
        return Pipeline(), f"These steps cannot be read: {error}"


def _stored(text: str) -> Pipeline:
    found = from_json(text)
    return found.pipeline if isinstance(found, FittedPipeline) else found


def _drawable(pipeline: Pipeline) -> Pipeline:
    """The pipeline, unless it has more steps than one page can draw while somebody waits."""
    if len(pipeline.steps) > MOST_STEPS:
        raise ParameterError(
            f"{len(pipeline.steps)} are more than this page draws ({MOST_STEPS}). The package and "
            "the command line take any number."
        )
    return pipeline


def _start() -> None:
    chosen = st.session_state["pipeline_start"]
    if chosen in _starts():
        pipeline = _starts()[chosen][1]
        st.session_state[keys.PIPELINE.name] = _text(pipeline)
        if chosen in KNOWN and pipeline.fits_on:
            st.session_state["pipeline_said"] = (
                f"{KNOWN[chosen].note} Bring the file under “Fit on” in the sidebar, as “Constants "
                "from a file or a text”."
            )


def _from_file() -> None:
    """Take the steps of an uploaded pipeline, or of another library's config."""
    file = st.session_state["pipeline_file"]
    if file is None:
        return
    data = file.getvalue()
    words = ""
    try:
        try:
            pipeline = _stored(data.decode("utf-8", "replace"))
        except ParameterError:
            pipeline = Pipeline()
        if not pipeline.steps:
            found = read_normalization(file.name, data)
            words = " ".join([found.words, *found.problems])
            if found.pipeline is None:
                raise ParameterError(f"{words} It says no steps.")
            pipeline = found.pipeline
        st.session_state[keys.PIPELINE.name] = _text(_drawable(pipeline))
        st.session_state["pipeline_said"] = words
    except NormvizError as error:
        st.session_state["pipeline_problem"] = str(error)


def _changed(change: Callable[[list[Step]], None]) -> None:
    """Apply a change to the steps; what a step refuses is said, and the steps stay."""
    steps = list(_parsed(st.session_state[keys.PIPELINE.name])[0].steps)
    try:
        change(steps)
        st.session_state[keys.PIPELINE.name] = _text(_drawable(Pipeline(tuple(steps))))
    except (ParameterError, ValueError) as error:
        st.session_state["pipeline_problem"] = str(error)


def _steps(pipeline: Pipeline) -> None:
    st.markdown("**Steps**")
    for at, step in enumerate(pipeline.steps):
        with st.container(border=True, key=f"step_{at}"):
            with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                st.markdown(f"**{at + 1}. {plain(step.about.title)}**", help=step.about.summary)
                last = len(pipeline.steps) - 1
                _button("arrow_upward", f"Move step {at + 1} up", at > 0, partial(_swap, at - 1))
                _button("arrow_downward", f"Move step {at + 1} down", at < last, partial(_swap, at))
                _button("close", f"Remove step {at + 1}", True, partial(_remove, at))
            if isinstance(step, Normalize):
                _method_of(at, step)
            else:
                _fields(at, step, partial(_set_field, at))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        with st.container(width=220):
            names = {key: kind.about.title for key, kind in STEPS.items()}
            picked = st.selectbox("Add a step", list(names), format_func=names.get, key="step_add")
        st.button(
            "Add",
            on_click=_changed,
            args=(lambda steps: steps.append(STEPS[picked]()),),
            disabled=len(pipeline.steps) >= MOST_STEPS,
        )


def _button(icon: str, label: str, on: bool, change: Callable[[list[Step]], None]) -> None:
    # The words are for screen readers and tooltips; style.py shows the icon alone.
    st.button(
        label,
        icon=f":material/{icon}:",
        help=label,
        key=f"icon {label}",
        type="tertiary",
        disabled=not on,
        on_click=_changed,
        args=(change,),
    )


def _swap(at: int, steps: list[Step]) -> None:
    steps[at], steps[at + 1] = steps[at + 1], steps[at]


def _remove(at: int, steps: list[Step]) -> None:
    del steps[at]


def _set_field(at: int, name: str, value: Any, steps: list[Step]) -> None:
    steps[at] = dataclasses.replace(steps[at], **{name: value})


def _set_method_field(at: int, name: str, value: Any, steps: list[Step]) -> None:
    step = steps[at]
    assert isinstance(step, Normalize)
    steps[at] = Normalize(dataclasses.replace(step.method, **{name: value}))


def _set_method(at: int, key: str, steps: list[Step]) -> None:
    steps[at] = Normalize(METHODS[key]())


def _method_of(at: int, step: Normalize) -> None:
    key = f"step {at} method"
    st.session_state[key] = step.method.key
    st.selectbox(
        "Method",
        list(METHODS),
        format_func=lambda name: METHODS[name].about.short,
        key=key,
        on_change=lambda: _changed(partial(_set_method, at, st.session_state[key])),
    )
    _fields(at, step.method, partial(_set_method_field, at))


def _fields(at: int, owner: Any, setter: Callable[[str, Any, list[Step]], None]) -> None:
    """One widget a parameter, whose value always is the step's own."""
    for spec in dataclasses.fields(owner):
        facts, value = spec.metadata, getattr(owner, spec.name)
        key = f"step {at} {type(owner).__name__} {spec.name}"
        if isinstance(value, tuple):
            st.session_state[key] = ", ".join(f"{one:.10g}" for one in value)
        else:
            st.session_state[key] = value
        label = f"{facts['label']} ({facts['unit']})" if facts["unit"] else facts["label"]
        change = partial(_take, key, spec, setter)
        if facts["choices"] is not None:
            st.selectbox(
                label,
                list(facts["choices"]),
                format_func=facts["choices"].get,
                help=facts["help"],
                key=key,
                on_change=change,
            )
        elif isinstance(value, tuple):
            st.text_input(label, help=facts["help"], key=key, on_change=change)
        else:
            kind = type(value)
            st.number_input(
                label,
                kind(facts["low"]),
                kind(facts["high"]),
                step=kind(facts["step"]),
                format="%d" if kind is int else "%.6g",
                help=facts["help"],
                key=key,
                on_change=change,
            )


def _take(key: str, spec: dataclasses.Field, setter: Callable[..., None]) -> None:
    value = st.session_state[key]
    if isinstance(spec.default, tuple):
        try:
            value = tuple(float(part) for part in str(value).replace(";", ",").split(","))
        except ValueError:
            st.session_state["pipeline_problem"] = (
                f"{spec.metadata['label']}: “{value}” is no list of numbers. Write one number, or "
                "three with commas between them."
            )
            return
    _changed(partial(setter, spec.name, value))


def _as_json() -> None:
    with st.expander("As JSON, or from a file", key="pipeline_json"):
        st.file_uploader(
            "Read the steps from a file",
            key="pipeline_file",
            on_change=_from_file,
            help="A pipeline's JSON, Hugging Face's preprocessor_config.json, timm's config.json, "
            "Normalize(…) of torchvision or Albumentations as text, Caffe's mean.binaryproto or a "
            "mean image as .npy.",
        )
        st.text_area(
            "Steps as JSON",
            key=keys.PIPELINE.name,
            bind="query-params",
            height=320,
            help="Edit or paste; the steps follow. It also stands in the page's address.",
        )


# ------------------------------------------------------------------------- what they make of it


def _image(shared: Frame) -> tuple[int, Image | None]:
    titles = shared.collection.titles[:100]
    names = {f"{at}. {title}": at - 1 for at, title in enumerate(titles, start=1)}
    index = names[menu(keys.PIPELINE_IMAGE, "Image", {name: name for name in names})]
    try:
        return index, lit(shared.collection.image(index), shared.light)
    except ReadError:
        return index, None


def _images(collection: Collection) -> list[Image]:
    found = []
    for index in range(0, len(collection), max(1, -(-len(collection) // MOST_IMAGES))):
        try:
            found.append(collection.image(index))
        except ReadError:
            continue
    return found


def _given(shared: Frame, pipeline: Pipeline) -> _Given | None:
    """What “Fit on” says, or the mean image that the steps were read from."""
    if not pipeline.fits_on:
        return None
    file = st.session_state.get("pipeline_file")
    own = _mean_image(file.name, file.getvalue()) if file is not None else None
    if own is not None and st.toggle(
        plain(f"Fit on {own.words}"),
        value=True,
        key="pipeline_own",
        help="Off: what “Fit on” in the sidebar says.",
    ):
        return own
    numbers = shared.numbers
    if numbers is None:
        return None
    if numbers.collection is None:
        return _Given(numbers.key, numbers.value, numbers.words)
    images = _images(numbers.collection)
    count = len(numbers.collection)
    some = f"{len(images)} of {count:,}" if len(images) < count else str(count)
    words = f"{some} image{'s' * (count != 1)} of {numbers.collection.title}"
    return _Given(numbers.key, images, words, len(images))


def _mean_image(name: str, data: bytes) -> _Given | None:
    """The mean image of an uploaded file, None where the file holds none."""
    key = ("mean image of steps", blake2b(data, digest_size=16).hexdigest(), name)

    def build() -> MeanImage | None:
        try:
            found = read_normalization(name, data).numbers
        except NormvizError:
            return None
        return found if isinstance(found, MeanImage) else None

    found = remembered(key, build)
    return None if found is None else _Given(":".join(key), found, f"the mean image of {name}")


def _fitted_on(steps: Sequence[Step], given: _Given) -> str:
    """Say which steps were fitted, on what, and how.

    >>> step = Normalize(METHODS["dataset_zscore"]())
    >>> _fitted_on([STEPS["resize"](8), step], _Given("", None, "preset CLIP"))
    'Step 2 takes its numbers from preset CLIP, as they are.'
    """
    fitted = [
        str(number)
        for number, step in enumerate(steps, 1)
        if isinstance(step, Normalize) and step.method.about.fits_on
    ]
    many = len(fitted) > 1
    which = f"Steps {', '.join(fitted[:-1])} and {fitted[-1]}" if many else f"Step {fitted[0]}"
    if not given.images:
        takes = "take their" if many else "takes its"
        return f"{which} {takes} numbers from {given.words}, as they are."
    return (
        f"{which} {'are' if many else 'is'} fitted on {given.words}, as they arrive there, without "
        "the light of the sliders."
    )


def _fitted(pipeline: Pipeline, given: _Given | None, missing: str) -> FittedPipeline:
    if not pipeline.fits_on:
        return pipeline.fit()
    if given is None:
        raise NotFittedError(missing)
    for step in pipeline.steps:
        if isinstance(step, Normalize) and step.method.about.needs_images and not given.images:
            raise NotFittedError(
                f"{step.method.about.title} is fitted on images, and “{given.words}” holds none. "
                "Choose images under “Fit on”."
            )
    return remembered(("pipeline", given.key, pipeline), lambda: pipeline.fit(given.value))


def _stages(fitted: FittedPipeline, image: Image, title: str) -> None:
    stages = list(fitted.stages(image))
    last = stages[-1].pixels
    steps = len(fitted.pipeline.steps)
    said = (
        f"{steps} step{'s turn' if steps > 1 else ' turns'} “{title}” from {image.width} × "
        f"{image.height} px with values {image.value_range.low:g} to "
        f"{image.value_range.high:g} into {last.shape[1]} × {last.shape[0]} px with values "
        f"{last.min():.3g} to {last.max():.3g}."
    )
    if not steps:
        said = f"Without a step “{title}” stays as it is. Add one, or start from a model's."
    st.markdown("#### " + plain(said.replace(" -", " −")))
    for start in range(0, len(stages), 3):
        for place, at in zip(st.columns(3), range(start, len(stages)), strict=False):
            if at < len(stages):
                with place:
                    _stage(at, stages[at])


def _stage(at: int, stage: Stage) -> None:
    pixels = stage.pixels.astype(np.float32)
    span = stage.value_range
    low, high = span if span else (float(pixels.min()), float(pixels.max()))
    shown = to_bytes(pixels, (low, high) if high > low else (low - 0.5, low + 0.5))
    name = stage.step.words() if stage.step else "As read"
    stream = io.BytesIO()
    picture = PillowImage.fromarray(shown.squeeze(2) if shown.shape[2] == 1 else shown)
    # Small results are shown as they are; large ones as reduced copies.
    picture.thumbnail((_SHOWN, _SHOWN))
    picture.save(stream, "PNG", compress_level=1)
    st.image(stream.getvalue(), output_format="PNG", alt=f"After step {at}: {name}")
    mean, std = (
        ", ".join(f"{value:.3g}" for value in values)
        for values in (pixels.mean(axis=(0, 1), dtype=np.float64), pixels.std(axis=(0, 1)))
    )
    scale = f"black {low:g}, white {high:g}" if span else f"stretched {low:.3g} to {high:.3g}"
    st.markdown(f"**{plain(f'{at}. {name}' if at else name)}**")
    st.caption(
        plain(
            f"{pixels.shape[1]} × {pixels.shape[0]} px; mean {mean}; std {std}; shown {scale}."
        ).replace(" \\-", " −")
    )


def _along(
    shared: Frame, fitted: FittedPipeline, given: _Given | None, images: list[Image]
) -> None:
    st.subheader("The set along the way", anchor=False)
    found = remembered(
        ("along", shared.collection.key, len(images), _key(given), fitted.pipeline),
        lambda: statistics_along(fitted, images),
    )
    st.markdown(_table(found))
    st.caption(
        plain(
            f"Every pixel of {len(images)} of {len(shared.collection)} images of "
            f"{shared.collection.title}, at full size, without the light of the sliders; R, G, B, "
            "in the unit of the values there. Std is pooled."
        )
    )


def _table(along: tuple[StepStatistics, ...]) -> str:
    lines = ["| after | mean | std |", "|---|---|---|"]
    for one in along:
        lines.append(f"| {plain(one.after)} | {_listed(one.mean)} | {_listed(one.std)} |")
    return "\n".join(lines)


def _listed(values: np.ndarray) -> str:
    return ", ".join(f"{value:.4g}".replace("-", "−") for value in values)


def _key(given: _Given | None) -> str:
    return "" if given is None else given.key


def _other_order(
    fitted: FittedPipeline, given: _Given | None, missing: str, images: list[Image]
) -> None:
    pipeline = fitted.pipeline
    others = _orders(pipeline, measured=given is not None and given.images > 0)
    if not others:
        return
    st.subheader("Does the order matter?", anchor=False)
    names = {name: name for name in others}
    with st.container(width=520):
        picked = menu(keys.OTHER_ORDER, "Compare with", names, "The same steps in another order.")
    other = others[picked]
    try:
        effect = remembered(
            ("order", tuple(image.digest for image in images), _key(given), pipeline, other),
            lambda: order_effect(images, fitted, _fitted(other, given, missing)),
        )
    except NormvizError as error:
        st.warning(plain(str(error)))
        return
    st.markdown(f"**{plain(effect.sentence).replace(chr(92) + '-', '−')}**")
    with st.expander("The other order, step by step"):
        st.markdown(_table(effect.second))


def _orders(pipeline: Pipeline, measured: bool) -> Mapping[str, Pipeline]:
    """Each pair of neighbours swapped; a method that is ``measured`` first, at full size."""
    found = {}
    steps = list(pipeline.steps)
    for at, step in enumerate(steps):
        if measured and at and isinstance(step, Normalize) and step.method.about.fits_on:
            moved = [step, *steps[:at], *steps[at + 1 :]]
            found[f"step {at + 1} first: “{step.words()}” at full size"] = Pipeline(tuple(moved))
    # The last ones first: what comes after a normalization tends to matter most.
    for at in reversed(range(len(steps) - 1)):
        swapped = [*steps]
        _swap(at, swapped)
        name = f"steps {at + 1} and {at + 2} swapped: “{steps[at + 1].words()}” first"
        found[name] = Pipeline(tuple(swapped))
    return found


def _code(fitted: FittedPipeline) -> None:
    place = st.expander("Code that does the same", key="pipeline_code", on_change="rerun")
    if not place.open:
        return
    with place:
        for target, title in (("numpy", "NumPy"), ("torchvision", "PyTorch (torchvision v2)")):
            st.markdown(f"**{title}**")
            try:
                st.code(fitted.code(target), language="python", wrap_lines=True)
            except ParameterError as error:
                st.caption(plain(str(error)))
        st.download_button(
            "Steps and fitted numbers (JSON)",
            fitted.to_json,
            file_name="pipeline.json",
            on_click="ignore",
            key="take pipeline",
        )
