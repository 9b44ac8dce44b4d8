"""Learn: the question told in steps, each with a live figure, a guess, and the experiment."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from app import keys
from app.controls import switch
from app.frame import Frame, places, say_unused
from app.lessons import CLAIMS_STEP, LESSONS, QUESTION, Lesson
from app.text import plain
from app.views import experiments, sights, style
from app.views.effects import effect_words
from app.views.lesson_figures import LIVE
from app.views.table import table_html
from normviz.lab import CLAIMS, EXPERIMENTS, precomputed
from normviz.lab.claims import Claim
from normviz.lab.evidence import Effect


def page(shared: Frame) -> None:
    """Draw one step, named in the address."""
    say_unused(shared)
    titles = {lesson.key: f"{at}. {lesson.title}" for at, lesson in enumerate(LESSONS, start=1)}
    titles[CLAIMS_STEP] = f"{len(LESSONS) + 1}. All claims"
    with st.container(horizontal=True, vertical_alignment="bottom", key="lesson_controls"):
        with st.container(width=420):
            step = _pick_step(titles)
        order = list(titles)
        at = order.index(step)
        st.button(
            "Back",
            key="lesson_back",
            disabled=at == 0,
            on_click=_go,
            args=(order[max(0, at - 1)],),
        )
        st.button(
            "Next",
            key="lesson_next",
            disabled=at == len(order) - 1,
            on_click=_go,
            args=(order[min(len(order) - 1, at + 1)],),
        )
        classroom = switch(keys.CLASSROOM, "Classroom", "Everything larger, and no sidebar.")
    if classroom:
        st.html(style.CLASSROOM)
    _body(shared, step)


def _pick_step(titles: Mapping[str, str]) -> str:
    # Not bound to the address like other widgets: those write their words there, and a teacher's
    # link should outlive a change of title.
    name = keys.LESSON.name
    if name not in st.session_state:
        asked = st.query_params.get(name)
        st.session_state[name] = asked if asked in titles else next(iter(titles))
    step = st.selectbox(
        "Step",
        list(titles),
        format_func=lambda key: titles.get(key, key),
        help="A link to this page opens this step.",
        key=name,
        on_change=_begin,
    )
    if st.query_params.get(name) != step:
        st.query_params[name] = step
    return step


def _go(step: str) -> None:
    st.session_state[keys.LESSON.name] = step
    _begin()


def _begin() -> None:
    """A new step asks for a guess of its own."""
    st.session_state[keys.GUESS.name] = None
    st.session_state[keys.REVEALED.name] = False


@st.fragment
def _body(shared: Frame, step: str) -> None:
    if step == CLAIMS_STEP:
        _claims()
        return
    lesson = next(one for one in LESSONS if one.key == step)
    told, tried = places(2)
    with told:
        if not _told(lesson):
            return
    with tried:
        for key in lesson.experiments:
            experiments.draw(shared, EXPERIMENTS[key])


def _told(lesson: Lesson) -> bool:
    """Draw a step up to its experiments. Return whether its result is to be seen."""
    st.markdown(f"#### {plain(lesson.title)}")
    st.markdown(plain(lesson.text))
    LIVE[lesson.key]()
    st.subheader("What do you expect?", anchor=False)
    options = {f"{at}": option for at, option in enumerate(lesson.prediction.options) if option}
    guess = st.radio(
        lesson.prediction.question,
        list(options),
        format_func=lambda at: options[at],
        index=None,
        horizontal=True,
        key=keys.GUESS.name,
    )
    shown = switch(keys.REVEALED, "Show the result without a guess")
    if guess is None and not shown:
        st.caption("Guess, then see what is found.")
        return False
    _judged(lesson, None if guess is None else int(guess))
    own = [key for key in lesson.experiments if experiments.on_own_images(key)]
    st.markdown(plain(f"{'On the bundled images: ' if own else ''}{lesson.after}"))
    if lesson.key in sights.SIGHTS:
        sights.draw(lesson.key)
    return True


def _judged(lesson: Lesson, guess: int | None) -> None:
    """Say which option the effect that decides makes right."""
    asked = lesson.prediction
    if asked.experiment:
        # The question is about the experiment's own set, whatever was run since.
        found = experiments.of_its_own(asked.experiment)
        if found is None:
            return
        effect = Effect.of(found["verdicts"][asked.verdict]["effects"][asked.effect])
    else:
        effect = sights.effects_of(lesson.key)[asked.effect]
    right = {"more": 0, "less": 1, "same": 2}.get(effect.finding)
    if right is None:
        st.info("These runs cannot tell; the interval below is too wide.")
        return
    words = f"{effect_words(effect)}."
    if guess is None:
        st.info(plain(f"{asked.options[right]}: {words}"))
    elif guess == right:
        st.success(plain(f"As you expected: {words}"))
    else:
        st.warning(plain(f"Not so. {asked.options[right]}: {words}"))


def _claims() -> None:
    st.markdown("#### Fifteen claims of the question and its answers, and what the experiments say")
    rows = []
    for claim in CLAIMS.values():
        said = [f"{claim.number}", claim.says, claim.who]
        for key in (claim.experiment, *claim.also):
            rows.append([*said, *_verdict_cells(claim, key)])
            said = [f"{claim.number}", "", ""]
    with st.container(key="claims_table"):
        head = ["", "claim", "who", "experiment", "verdict", "other seeds"]
        head += ["in one number (95 % interval)"]
        st.html(table_html(head, rows, "All claims", numbers=False))
    made = precomputed()
    st.caption(
        plain(
            f"Computed beforehand on {made.date} unless a row says otherwise. Small networks, "
            "briefly trained, on small images (patches of ten photos that all seeds share, "
            "digits, or surfaces made for the question): what holds here need not hold for a large "
            "network, and the steps say what each experiment cannot tell. “Other seeds”: how many "
            "other sets of seeds give the same verdict."
        )
    )
    st.markdown(f"The question: [Cross Validated 211436]({QUESTION}).")


def _verdict_cells(claim: Claim, key: str) -> list[str]:
    """An experiment, what it says of a claim, how steadily, and the effect that says most."""
    experiment, found = EXPERIMENTS[key], experiments.result(key)
    verdicts = () if found is None else found["verdicts"]
    verdict = next((one for one in verdicts if one["claim"] == claim.number), None)
    if found is None or verdict is None:
        return [experiment.title, "not run", "", ""]
    word, _ = experiments.shown_verdict(experiment, found, verdict)
    now = experiments.ran_on(experiment, found)
    at = claim.effect if key == claim.experiment else 0
    return [
        experiment.title,
        f"{word} ({now})" if now else word,
        experiments.same_elsewhere(experiment, found, verdict),
        effect_words(Effect.of(verdict["effects"][at])),
    ]
