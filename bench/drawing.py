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
