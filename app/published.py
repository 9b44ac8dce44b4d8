"""What is published, in words and tables: presets with their sources, models with a mean image."""

from __future__ import annotations

import streamlit as st

from app.text import plain
from normviz.presets import MEAN_IMAGES, PRESETS, MeanImagePreset, Preset, listed


def say(preset: Preset) -> None:
    """Draw a preset's numbers as published and as used, its source, and what is known of it."""
    if preset.folklore:
        st.warning(plain(preset.note), icon=":material/history_edu:")
    note = "" if preset.folklore else preset.note
    st.caption(f"{plain(preset.words())} Source: {_source(preset)}. {plain(note)}")


def presets_table() -> None:
    """Draw every preset; opened on demand."""
    place = st.expander(f"All {len(PRESETS)} presets", key="all_presets", on_change="rerun")
    if not place.open:
        return
    rows = [
        {
            "Preset": preset.title,
            "Mean": listed(preset.mean),
            "Std": listed(preset.std),
            "For": f"{preset.order}, 0–{preset.scale:g}",
            "Networks": preset.models,
            "Source": preset.source,
            "Kind": preset.family,
            "Note": preset.note,
        }
        for preset in PRESETS.values()
    ]
    with place:
        st.dataframe(
            {name: [row[name] for row in rows] for name in rows[0]},
            hide_index=True,
            height=420,
            column_config={"Preset": st.column_config.Column(pinned=True)},
        )
        st.caption("Numbers in the order and on the scale in which they are published.")


def mean_images_list() -> None:
    """Draw the models that subtract a mean image, and which file to import for each."""
    lines = [
        f"- {plain(one.words())} {plain(one.note)} Source: {_source(one)}."
        for one in MEAN_IMAGES.values()
    ]
    st.markdown("**Published mean images**\n" + "\n".join(lines))


def _source(preset: Preset | MeanImagePreset) -> str:
    return f"[{plain(preset.source)}]({preset.url})" if preset.url else plain(preset.source)
