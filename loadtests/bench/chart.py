"""The report as one SVG: two panels of bars on a logarithmic scale, readable on light and dark pages. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from loadtests.bench.contestants import OURS

_WIDTH: Final = 760
_LABEL: Final = 130
_VALUE: Final = 150
_BAR: Final = 18
_ROW: Final = 28
_HEAD: Final = 34
_STYLE: Final = """\
text { font: 13px system-ui, sans-serif; fill: #57606a; }
.title { font-weight: 600; fill: #24292f; }
.bar { fill: #8c959f; }
.ours { fill: #0969da; }
.rule { stroke: #8c959f; stroke-opacity: 0.35; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; } .title { fill: #e6edf3; } .bar { fill: #6e7681; } .ours { fill: #4493f8; }
}"""


@dataclass(frozen=True, slots=True)
class Panel:
    """One figure of several contestants: `values` in the unit of the title, at least 0."""

    title: str
    values: Mapping[str, float]
    ratios: Mapping[str, float]
    """To nginx, where known; shown beside the value."""


def draw(panels: list[Panel]) -> str:
    """The picture. A bar's length is the logarithm of its value: peers lie up to a thousandfold apart."""
    shown = [panel for panel in panels if panel.values]
    heights = [_HEAD + _ROW * len(panel.values) + 12 for panel in shown]
    height = sum(heights) + 8
    body: list[str] = []
    top = 8
    for panel, panel_height in zip(shown, heights, strict=True):
        body += _panel(panel, top)
        top += panel_height
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<style>{_STYLE}</style>",
            *body,
            "</svg>\n",
        ]
    )


def _panel(panel: Panel, top: int) -> list[str]:
    ordered = sorted(panel.values.items(), key=lambda item: item[1])
    floor = math.log10(max(ordered[0][1], 1e-9)) - 0.3
    span = max(math.log10(max(ordered[-1][1], 1e-9)) - floor, 1e-9)
    lines = [f'<text class="title" x="8" y="{top + 18}">{escape(panel.title)}</text>']
    bottom = top + _HEAD + _ROW * len(ordered)
    lines.append(f'<line class="rule" x1="{_LABEL}" y1="{top + _HEAD - 6}" x2="{_LABEL}" y2="{bottom - 4}"/>')
    for index, (name, value) in enumerate(ordered):
        length = (math.log10(max(value, 1e-9)) - floor) / span * (_WIDTH - _LABEL - _VALUE)
        lines += _row(name, value, panel.ratios.get(name), top + _HEAD + _ROW * index, length)
    return lines


def _row(name: str, value: float, ratio: float | None, y: int, length: float) -> list[str]:
    words = f"{value:,.1f}" if ratio is None else f"{value:,.1f}  ({ratio:.2g}x nginx)"
    kind = "bar ours" if name == OURS else "bar"
    return [
        f'<text x="{_LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{_LABEL}" y="{y}" width="{max(length, 1):.1f}" height="{_BAR}" rx="3"/>',
        f'<text x="{_LABEL + max(length, 1) + 8:.1f}" y="{y + 14}">{escape(words)}</text>',
    ]
