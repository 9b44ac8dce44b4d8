"""The few rules of CSS that Streamlit's own options cannot say, and the visitor's theme."""

from __future__ import annotations

import streamlit as st

from app import keys

_CSS = """<style>
.stMainBlockContainer { padding: 3.75rem 1.75rem 4rem; max-width: 1800px; }
.stMainBlockContainer h4 { text-wrap: pretty; font-weight: 600; line-height: 1.4; }
.stMultiSelect [data-tag] {
  background: color-mix(in srgb, currentColor 10%, transparent); color: inherit;
}
.stMainBlockContainer h4 { font-size: 1.3rem; min-height: 2.8em; }
.stMainBlockContainer h3 { font-size: 1.15rem; padding-top: 1.5rem; }
.stMainBlockContainer .katex-display { overflow: hidden !important; padding: 0 4px; }
.stMainBlockContainer .katex-display > .katex { white-space: normal; line-height: 2.2; }
[class*="st-key-icon-"] button p {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
}
/* Below the header, however far down the page is read. */
:has(> .st-key-scanning) { position: sticky; top: 3.75rem; z-index: 2; background: Canvas; }
@media (max-width: 640px) {
  .stColumn:has(> .stVerticalBlock > * > .st-key-pipeline_result),
  .stColumn:has(> .stVerticalBlock > * > .st-key-pipeline_result) > .stVerticalBlock {
    display: contents;
  }
  :has(> .st-key-pipeline_result) { order: -1; }
  :has(> .st-key-pipeline_further) { order: 1; }
}
.nv-strip { display: flex; flex-wrap: wrap; gap: 10px 8px; }
.nv-strip figure { margin: 0; width: 88px; }
.nv-strip img { width: 88px; height: 88px; object-fit: contain; display: block;
  background: color-mix(in srgb, currentColor 6%, transparent); border-radius: 3px; }
.nv-strip img.nv-small { image-rendering: pixelated; }
.st-key-dataset_pictures img { image-rendering: pixelated; }
.nv-strip figcaption { font-size: 0.8rem; line-height: 1.3; padding-top: 3px; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; font-variant-numeric: tabular-nums; }
.nv-filters { gap: 16px 24px; }
.nv-strip.nv-filters figure { width: 280px; max-width: 100%; display: grid;
  grid-template-columns: 1fr 1fr; gap: 2px 6px; }
.nv-strip.nv-filters figure img { width: 100%; height: auto; aspect-ratio: 1; }
.nv-filters figcaption { grid-column: 1 / -1; }
.nv-keys { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: 0.88rem; }
.nv-key { display: inline-flex; align-items: center; gap: 7px; }
.nv-key i { width: 22px; height: 0; }
.nv-table { overflow-x: auto; }
.nv-table table { border-collapse: collapse; font-size: 0.9rem; line-height: 1.35; }
.nv-table :is(th, td) { padding: 5px 14px 5px 0; text-align: left; vertical-align: top; }
.nv-table tbody tr { border-top: 1px solid color-mix(in srgb, currentColor 14%, transparent); }
.nv-table th { font-weight: 500; }
.nv-table thead th { font-weight: 600; }
.nv-numbers :is(th, td):not(:first-child) { text-align: right; white-space: nowrap; }
.nv-numbers :is(th, td) { padding-right: 10px; }
.nv-numbers tbody th { white-space: nowrap; }
.nv-wrapped tbody th { white-space: normal; min-width: 180px; }
.nv-wrapped td:last-child { white-space: normal; min-width: 90px; }
.nv-words :is(th, td) { min-width: 92px; max-width: 220px; }
.st-key-claims_table :is(th, td):first-child { min-width: 2rem; }
.stMainBlockContainer table { font-variant-numeric: tabular-nums; }
/* Streamlit's highlighter is too pale on white; mixed with the text it is 4.5 : 1 everywhere. */
.stCode .token.token { color: color-mix(in srgb, #1c83e1 60%, currentColor); }
.stCode .token.token.comment, .stCode .token.token.punctuation {
  color: color-mix(in srgb, #808495 60%, currentColor); }
.stCode .token.token.number, .stCode .token.token.string, .stCode .token.token.boolean {
  color: color-mix(in srgb, #29b09d 50%, currentColor); }
.stCode .token.token.operator { color: color-mix(in srgb, #ed6f13 55%, currentColor); }
@media (max-width: 700px) {
  [class*="st-key-grid"] { overflow-x: auto; overflow-y: hidden; }
  .nv-numbers tbody th { white-space: normal; min-width: 140px; }
  .nv-strip figure, .nv-strip img { width: 76px; }
  .nv-strip img { height: 76px; }
  .stMainBlockContainer h4 { font-size: 1.1rem; }
  .nv-cards :is(table, tbody, tr, th, td) { display: block; }
  .nv-cards thead { display: none; }
  .nv-cards tbody tr { padding: 8px 0; }
  .nv-table.nv-cards tbody tr :is(th, td) { max-width: none; padding: 2px 0;
    text-align: left; white-space: normal; }
  .nv-cards :is(th, td):empty { display: none; }
  .nv-cards :is(th, td)[data-head]::before { content: attr(data-head) ": ";
    opacity: 0.75; }
  .st-key-figure_one_rate, .st-key-race_rates { overflow-x: auto; }
  :is(.st-key-figure_one_rate, .st-key-race_rates) > * { min-width: 660px; }
  .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; }
}
</style>"""

ENLARGED = 1.25
"""How many times as large everything is for a room."""

# Nothing stands beside the lesson then.
CLASSROOM = f"""<style>
:root {{ font-size: {16 * ENLARGED:g}px !important; }}
[data-testid=stSidebar], [data-testid=stExpandSidebarButton] {{ display: none !important; }}
</style>"""

# As in viewer.css: a column's least width on a phone, and what lies between columns, in px.
LEAST_ON_PHONE = 210
COLUMN_GAP = 16


def apply() -> None:
    st.html(_CSS)


def classroom() -> bool:
    """Whether the page is enlarged for a room."""
    return bool(st.session_state.get(keys.CLASSROOM.name))


def dark() -> bool:
    """Whether the visitor's theme is dark."""
    return st.context.theme.type == "dark"
