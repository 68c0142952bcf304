"""Lets matplotlib draw a chart as a small piece of SVG that stands inside an HTML page.

Lines stay vectors and text stays text. Colours are classes too, so that a page may show the figure
in its own scheme. Imported inside functions alone, since it loads matplotlib and reportlab.
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape, quoteattr

from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.colors import to_hex
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.transforms import Affine2D, Transform

from calculations.charts import ChartDocument
from calculations.report.figures import COLOURS, FAINT, TEXT, draw
from calculations.report.pdf_renderer import PdfRenderer

#: Colours of figures as classes: s-… for strokes, f-… for what is filled.
CLASSES = {TEXT: "ink", FAINT: "line", "#ffffff": "page"} | {
    colour: f"c{number}" for number, colour in enumerate(COLOURS)
}


def drawn(document: ChartDocument, key: str, alt: str, width: float, height: float) -> str:
    """Return an <svg>; `key` sets the ids in it apart from those of other figures."""
    renderer = SvgRenderer(key, width, height)
    draw(document, width, height).draw(renderer)
    return (
        f'<svg viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label={quoteattr(alt)}>'
        f"{''.join(renderer.parts)}</svg>"
    )


class SvgRenderer(PdfRenderer):
    """Measures as the PDF does, and draws the same in text; `parts` gather it."""

    def __init__(self, key: str, width: float, height: float) -> None:
        super().__init__(None, width, height)
        self._key, self._clips = key, {}
        self.parts: list[str] = []

    def draw_path(
        self,
        gc: GraphicsContextBase,
        path: Path,
        transform: Transform,
        rgbFace: tuple[float, ...] | None = None,
    ) -> None:
        pen = self._pen(gc, rgbFace)
        if pen:
            bounds = (0.0, 0.0, self.width, self.height) if rgbFace is None else None
            flipped = transform + Affine2D().scale(1, -1).translate(0, self.height)
            self.parts.append(f'<path d="{_d(path, flipped, bounds)}"{pen}{self._clipping(gc)}/>')

    def draw_markers(
        self,
        gc: GraphicsContextBase,
        marker_path: Path,
        marker_trans: Transform,
        path: Path,
        trans: Transform,
        rgbFace: tuple[float, ...] | None = None,
    ) -> None:
        """One shape, set at every point."""
        pen = self._pen(gc, rgbFace)
        if not pen:
            return
        name = f"{self._key}-m{len(self.parts)}"
        shape = _d(marker_path, marker_trans + Affine2D().scale(1, -1), None)
        self.parts.append(f'<defs><path id="{name}" d="{shape}"/></defs>')
        uses = []
        for points, _ in path.iter_segments(trans, simplify=False):
            x, y = points[-2], self.height - points[-1]
            if -1e5 < x < 1e5 and -1e5 < y < 1e5:
                uses.append(f'<use href="#{name}" x="{_n(x)}" y="{_n(y)}"/>')
        self.parts.append(f"<g{pen}{self._clipping(gc)}>{''.join(uses)}</g>")

    def draw_text(
        self,
        gc: GraphicsContextBase,
        x: float,
        y: float,
        s: str,
        prop: FontProperties,
        angle: float,
        ismath: Any = False,
        mtext: Any = None,
    ) -> None:
        place = f'x="{_n(x)}" y="{_n(self.height - y)}"'
        turn = f' transform="rotate({_n(-angle)} {_n(x)} {_n(self.height - y)})"' if angle else ""
        fill = _colour("fill", to_hex(gc.get_rgb()))
        size = _n(prop.get_size_in_points())
        self.parts.append(f'<text {place} font-size="{size}"{fill}{turn}>{escape(s)}</text>')

    def _pen(self, gc: GraphicsContextBase, face: tuple[float, ...] | None) -> str:
        """The attributes of what is drawn; empty where nothing would be seen."""
        stroke = gc.get_linewidth() > 0 and self._opacity(gc, gc.get_rgb()) > 0
        fill = face is not None and self._opacity(gc, face) > 0
        if not (stroke or fill):
            return ""
        colour = to_hex(gc.get_rgb())
        classes = [f"s-{CLASSES[colour]}"] if stroke and colour in CLASSES else []
        attributes = f' fill="{to_hex(face[:3]) if fill else "none"}"'
        if fill and to_hex(face[:3]) in CLASSES:
            classes.append(f"f-{CLASSES[to_hex(face[:3])]}")
        if stroke:
            attributes += f' stroke="{colour}" stroke-width="{_n(gc.get_linewidth())}"'
            attributes += ' stroke-linejoin="round" stroke-linecap="butt"'
            offset, dashes = gc.get_dashes()
            if dashes is not None:
                attributes += f' stroke-dasharray="{" ".join(_n(dash) for dash in dashes)}"'
                attributes += f' stroke-dashoffset="{_n(offset or 0)}"'
        opacity = self._opacity(gc, gc.get_rgb() if stroke else face)
        attributes += f' opacity="{_n(opacity)}"' if opacity < 1 else ""
        return f'{attributes} class="{" ".join(classes)}"' if classes else attributes

    def _clipping(self, gc: GraphicsContextBase) -> str:
        box = gc.get_clip_rectangle()
        if box is None:
            return ""
        x, y, width, height = (float(value) for value in box.bounds)
        known = self._clips.get((x, y, width, height))
        if known is None:
            known = self._clips[x, y, width, height] = f"{self._key}-c{len(self._clips)}"
            top = self.height - y - height
            self.parts.append(
                f'<clipPath id="{known}"><rect x="{_n(x)}" y="{_n(top)}" width="{_n(width)}" '
                f'height="{_n(height)}"/></clipPath>'
            )
        return f' clip-path="url(#{known})"'


def _colour(attribute: str, colour: str) -> str:
    name = CLASSES.get(colour)
    return f' {attribute}="{colour}"' + (f' class="{attribute[0]}-{name}"' if name else "")


def _n(value: float) -> str:
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


def _d(path: Path, transform: Transform, bounds: tuple[float, ...] | None) -> str:
    words = []
    letters = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C"}
    for points, code in path.iter_segments(transform, remove_nans=True, clip=bounds):
        if code == Path.CLOSEPOLY:
            words.append("Z")
        elif code in letters:
            words.append(letters[code] + " ".join(_n(value) for value in points))
    return "".join(words)
