"""Pieces of charts, as SVG. They have no background and read on light and dark pages
alike."""

from html import escape

WIDTH = 960

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #59636e }
.title { font-size: 16px; font-weight: 600 }
.panel { font-weight: 600 }
.small { font-size: 10px }
.value { fill: #fff }
.grid { stroke: #59636e; stroke-opacity: .22 }
.limit { stroke: #59636e; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text:not(.value) { fill: #9198a1 }
  .grid, .limit { stroke: #9198a1 }
}
"""


def text(x, y, content, kind="", anchor="start"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{escape(content)}</text>"
    )


def bar(x, y, width, height, colour, words):
    """With words that show when it is pointed at."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1"'
        f' fill="{colour}"><title>{escape(words)}</title></rect>'
    )


def legend(left, step, entries):
    """Titles and colours, in one line under that of the chart."""
    for i, (title, colour) in enumerate(entries):
        x = left + i * step
        yield f'<rect x="{x}" y="43" width="10" height="10" fill="{colour}"/>'
        yield text(x + 14, 52, title)


def chart(title, left, height, parts):
    """All of it, under its title."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' role="img" aria-label="{escape(title)}">',
            f"<style>{STYLE}</style>",
            text(left, 24, title, "title"),
            *parts,
            "</svg>\n",
        ]
    )


# -- Bars that lie ------------------------------------------------------------------

_LEFT = 330  # Of the bars; the names of rows stand before it.
_RIGHT = WIDTH - 70
_TOP = 76  # Title and legend.
_BAR = 12
_GROUP_GAP = 14
_LEGEND_STEP = 150


def _group(top, name, bars):
    """Each as a share of the longest; `bars` are titles, colours and microseconds."""
    yield text(_LEFT - 10, top + _BAR * len(bars) / 2 + 4, name, anchor="end")
    most = max(value for _, _, value in bars)
    first = bars[0][2]
    for i, (title, colour, value) in enumerate(bars):
        y = top + i * _BAR
        width = max((_RIGHT - _LEFT) * value / most, 1)
        label = f"{value:,.0f} µs" if value >= 100 else f"{value:.3g} µs"
        words = f"{title}: {label}, {value / first:.2f} times libws"
        yield bar(_LEFT, y, width, _BAR - 1.5, colour, words)
        yield text(_LEFT + width + 4, y + _BAR - 3, label, "small")


def bar_chart(title, groups):
    """A chart of groups: names, and bars as titles, colours and microseconds. The
    first bar of each is ours."""
    parts = []
    shown = {}
    y = _TOP
    for name, bars in groups:
        if bars:
            shown.update((title, colour) for title, colour, _ in bars)
            parts += _group(y, name, bars)
            y += _BAR * len(bars) + _GROUP_GAP
    return chart(title, 10, y, [*parts, *legend(10, _LEGEND_STEP, shown.items())])
