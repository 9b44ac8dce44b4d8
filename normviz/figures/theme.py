"""One look for every figure: a colour a method, hue and dash a channel, one template a theme."""

from __future__ import annotations

import plotly.graph_objects as go

# Hue tells the family (grey fixed, blue dataset, orange and red image, green local, purple batch,
# pink colour), lightness the member; based on Okabe and Ito's set, darkened or lightened until each
# keeps 3 : 1 against both page backgrounds.
METHOD_COLOURS: dict[str, str] = {
    "none": "#7a7a7a",
    "scale_01": "#6f7a86",
    "scale_11": "#8b7b66",
    "dataset_mean": "#3f8fdc",
    "dataset_mean_image": "#6a7fd6",
    "dataset_zscore": "#2a66c8",
    "dataset_pixel_zscore": "#4f63a8",
    "batch_zscore": "#9467bd",
    "image_mean": "#b98000",
    "image_standardize": "#d55e00",
    "image_channel_standardize": "#b3472e",
    "min_max": "#c37c74",
    "channel_min_max": "#796823",
    "percentile_stretch": "#885c56",
    "robust": "#ac6721",
    "gcn": "#d15b60",
    "unit_l2": "#a96464",
    "unit_max": "#978642",
    "gamma": "#668024",
    "logarithm": "#80990b",
    "equalize": "#4c701a",
    "clahe": "#697c56",
    "match_histogram": "#586a46",
    "lcn_subtractive": "#4f9a4f",
    "lcn_divisive": "#6b9881",
    "lcn": "#00936b",
    "local_standardize": "#087970",
    "divisive": "#0c8538",
    "lrn": "#19a383",
    "grey_world": "#b8659a",
    "white_patch": "#a0527f",
    "shades_of_grey": "#bb475f",
    "grey_edge": "#97738f",
    "von_kries": "#da668c",
    "opponent": "#9f51a4",
    "decorrelated": "#b97ca1",
    "reinhard": "#a24852",
    "macenko": "#8b4e8f",
    "retinex_ssr": "#b36f82",
    "retinex_msr": "#cc6ab1",
    "colour_pca": "#9a89b1",
    "colour_zca": "#7c4eae",
    "patch_zca": "#745f83",
    "image_pca": "#ba71cb",
    "image_zca": "#997de4",
    "published": "#1c8f97",
}

# Normalizations of feature maps: never in one chart with methods of images.
NORM_COLOURS: dict[str, str] = {
    "batch_norm": "#9467bd",
    "running_batch_norm": "#2a66c8",
    "batch_renorm": "#ba71cb",
    "layer_norm": "#d55e00",
    "instance_norm": "#b3472e",
    "group_norm": "#b98000",
    "rms_norm": "#00936b",
    "positional_norm": "#1c8f97",
}

# Hue and dash both, so that neither paper nor eye needs the colour.
CHANNEL_COLOURS = {"R": "#d0342c", "G": "#2b8a3e", "B": "#2f6fd0", "grey": "#808080"}
# Channels that are no longer those of the image, the first, second and third.
_OTHER_COLOURS = ("#8e44ad", "#b7791f", "#0f8a8a")
_DASHES = {"R": "solid", "G": "dash", "B": "dot", "grey": "solid"}


def channel_line(name: str, at: int) -> dict[str, str]:
    """Colour and dash of a channel's line, by its name or else by its place."""
    colour = CHANNEL_COLOURS.get(name, _OTHER_COLOURS[at])
    return {"color": colour, "dash": _DASHES.get(name, ("solid", "dash", "dot")[at])}


_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def text_colour(dark: bool) -> str:
    return "#eceff1" if dark else "#1a1a1a"


def quiet_colour(dark: bool) -> str:
    """Text that steps back, still 4.5 : 1."""
    return "#b4bac0" if dark else "#55595e"


def enlarged(figure: go.Figure, by: float) -> go.Figure:
    """Return the figure with all its letters, its height and its margins so many times as large.

    >>> enlarged(go.Figure(layout={"height": 200, "font": {"size": 10}}), 1.5).layout.font.size
    15.0
    """
    plain = figure.to_dict()
    _enlarge(plain, by, "")
    layout = plain["layout"]
    if "height" in layout:
        layout["height"] = round(layout["height"] * by)
    layout["margin"] = {side: round(width * by) for side, width in layout.get("margin", {}).items()}
    return go.Figure(plain, skip_invalid=False)


def _enlarge(part: object, by: float, name: str) -> None:
    if isinstance(part, dict):
        if name.endswith("font") and "size" in part:
            part["size"] = part["size"] * by
        for key, inner in part.items():
            _enlarge(inner, by, key)
    elif isinstance(part, list | tuple):
        for inner in part:
            _enlarge(inner, by, name)


def template(dark: bool) -> go.layout.Template:
    """The project's template, given to every figure explicitly."""
    line = "#3a3f45" if dark else "#dcdfe3"
    axis = {
        "gridcolor": line,
        "linecolor": line,
        "zerolinecolor": "#6b7178" if dark else "#9aa0a6",
        "ticks": "",
        "tickfont": {"size": 11, "color": quiet_colour(dark)},
        "title": {"font": {"size": 12, "color": quiet_colour(dark)}, "standoff": 6},
        "separatethousands": True,
        # Looking for labels beyond the plot's edge costs a browser 3 ms an axis.
        "ticklabeloverflow": "allow",
    }
    return go.layout.Template(
        layout={
            "font": {"family": _FONT, "size": 12, "color": text_colour(dark)},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {"font": {"family": _FONT, "size": 12}},
            "legend": {"font": {"size": 12}, "bgcolor": "rgba(0,0,0,0)"},
            "title": {"font": {"size": 14}, "x": 0, "xanchor": "left"},
        }
    )


def minus(text: str) -> str:
    return text.replace("-", "−")
