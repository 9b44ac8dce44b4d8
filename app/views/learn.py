"""Learn: the question told in steps, each with a live figure, a guess, and the experiment."""

from __future__ import annotations

import streamlit as st

from app import keys
from app.controls import menu, switch
from app.frame import Frame, say_unused
from app.lessons import CLAIMS_STEP, LESSONS, QUESTION, Lesson
from app.text import plain
from app.views import experiments, style
from app.views.effects import effect_words
from app.views.lesson_figures import LIVE
from app.views.table import table_html
from normviz.lab import CLAIMS, EXPERIMENTS, precomputed


def page(shared: Frame) -> None:
    """Draw one step, chosen by its number in the address."""
    say_unused(shared)
    titles = {lesson.key: f"{at}. {lesson.title}" for at, lesson in enumerate(LESSONS, start=1)}
    titles[CLAIMS_STEP] = f"{len(LESSONS) + 1}. All claims"
    with st.container(horizontal=True, vertical_alignment="bottom", key="lesson_controls"):
        with st.container(width=420):
            step = menu(keys.LESSON, "Step", titles, "A link to this page opens this step.")
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


def _go(step: str) -> None:
    st.session_state[keys.LESSON.name] = step
    st.session_state[keys.GUESS.name] = None


@st.fragment
def _body(shared: Frame, step: str) -> None:
    if step == CLAIMS_STEP:
        _claims()
        return
    lesson = next(one for one in LESSONS if one.key == step)
    st.markdown(f"#### {plain(lesson.title)}")
    st.markdown(plain(lesson.text))
    LIVE[lesson.key]()
    if lesson.prediction is None:
        return
    st.subheader("What do you expect?", anchor=False)
    options = {f"{at}": option for at, option in enumerate(lesson.prediction.options)}
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
        st.caption("Guess, then see what the experiment found.")
        return
    _judged(lesson, None if guess is None else int(guess))
    for key in lesson.experiments:
        experiments.draw(shared, EXPERIMENTS[key])


def _judged(lesson: Lesson, guess: int | None) -> None:
    """Say which option the experiment's effect makes right."""
    asked = lesson.prediction
    assert asked is not None
    found = experiments.result(asked.experiment)
    if found is None:
        return
    effect = found["verdicts"][asked.verdict]["effects"][asked.effect]
    right = {"more": 0, "less": 1, "same": 2}.get(effect["finding"])
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
        found = experiments.result(claim.experiment)
        verdicts = () if found is None else found["verdicts"]
        verdict = next((one for one in verdicts if one["claim"] == claim.number), None)
        if found is None or verdict is None:
            rows.append([f"{claim.number}", claim.says, claim.who, "not run", "", ""])
            continue
        effect = verdict["effects"][claim.effect]
        rows.append(
            [
                f"{claim.number}",
                claim.says,
                claim.who,
                experiments.shown_verdict(EXPERIMENTS[claim.experiment], found, verdict)[0],
                experiments.same_elsewhere(EXPERIMENTS[claim.experiment], found, verdict),
                effect_words(effect),
            ]
        )
    with st.container(key="claims_table"):
        head = ["", "claim", "who", "verdict", "other seeds", "in one number (95 % interval)"]
        st.html(table_html(head, rows, "All claims", numbers=False))
    made = precomputed()
    st.caption(
        plain(
            f"Computed beforehand on {made.date}, or run in this session. Small networks, briefly "
            "trained, on patches of ten photos that all seeds share: what holds here need not hold "
            "for a large network, and the steps say what each experiment cannot tell. “Other "
            "seeds”: how many other sets of seeds give the same verdict."
        )
    )
    st.markdown(f"The question: [Cross Validated 211436]({QUESTION}).")
