"""Numbers of every pixel, computed behind the page where they take longer than a change may."""

from __future__ import annotations

from concurrent.futures import Future

import streamlit as st

from app.cached import PIXELS_IN_FULL, exact_ranges, later
from app.selection import Selection
from app.text import plain
from app.views.panels import panels_of
from normviz.observe.ranges import Ranges


def section(chosen: Selection) -> None:
    """Replace numbers of shown copies by those of every pixel, once they are there.

    Until then a line says how far that is.
    """
    for waiting in st.session_state.pop("refining", []):
        waiting.cancel()
    found = panels_of(chosen)
    rough = [at for at, panel in found.items() if isinstance(panel, Ranges) and not panel.exact]
    fitted = {column.name: column.fitted for column in chosen.shown}
    rows = {row.index: row for row in chosen.rows}
    small = [
        (rows[index], name)
        for index, name in rough
        if rows[index].image.height * rows[index].image.width <= PIXELS_IN_FULL
    ]
    if len(small) < len(rough):
        st.caption(
            f"Images over {PIXELS_IN_FULL / 1e6:g} megapixels keep the numbers of the shown copy "
            "under methods that are no gain and bias a channel."
        )
    if not small:
        return

    @st.fragment(run_every=1.0)
    def measuring() -> None:
        if "refining" not in st.session_state:
            # Not on the run itself: a slider that moves on would leave the work behind.
            st.session_state["refining"] = []
            return
        jobs: list[Future] = st.session_state["refining"]
        if not jobs:
            for row, name in small:
                jobs.append(
                    later(exact_ranges, row.image, chosen.light, chosen.longest, fitted[name])
                )
        done = sum(job.done() for job in jobs)
        if done == len(jobs):
            failed = [job.exception() for job in jobs if job.exception()]
            if not failed:
                st.rerun()
            st.caption(plain(f"Every pixel could not be measured: {failed[0]}"))
            return
        st.caption(
            f"Measuring every pixel of {len(jobs)} panel{'s' if len(jobs) > 1 else ''} that "
            f"show{'' if len(jobs) > 1 else 's'} a copy's numbers: {done} done."
        )

    measuring()
