"""Lets matplotlib draw straight onto a reportlab canvas: lines stay vectors, text stays text.

Imported inside functions alone, since it loads both libraries. It touches no global state.
"""

from __future__ import annotations

from typing import Any

from matplotlib.backend_bases import FigureCanvasBase, GraphicsContextBase, RendererBase
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.transforms import Transform
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas

from calculations.report.fonts import REGULAR

CAPS = {"butt": 0, "round": 1, "projecting": 2}
JOINS = {"miter": 0, "round": 1, "bevel": 2}
POINTS_PER_INCH = 72
HEIGHT, DESCENT = 0.96, 0.22  # of DejaVu Sans, in ems


class FigureCanvas(FigureCanvasBase):
    """Gives the figure's layout a renderer to measure with, before anything is drawn."""

    def get_renderer(self) -> PdfRenderer:
        width, height = self.figure.get_size_inches() * POINTS_PER_INCH
        return PdfRenderer(None, width, height)


class PdfRenderer(RendererBase):
    """Draws in points from the lower left corner. Without a canvas it only measures."""

    def __init__(self, canvas: Canvas | None, width: float, height: float) -> None:
        super().__init__()
        self.canvas, self.width, self.height = canvas, width, height

    def get_canvas_width_height(self) -> tuple[float, float]:
        return self.width, self.height

    def flipy(self) -> bool:
        return False

    def get_text_width_height_descent(
        self, s: str, prop: FontProperties, ismath: Any
    ) -> tuple[float, float, float]:
        """Measure with the typeface that draws, so that nothing overlaps."""
        size = prop.get_size_in_points()
        return stringWidth(s, REGULAR, size), HEIGHT * size, DESCENT * size

    def draw_image(self, *args: Any, **kwargs: Any) -> None:
        """Charts hold no images."""

    def draw_path(
        self,
        gc: GraphicsContextBase,
        path: Path,
        transform: Transform,
        rgbFace: tuple[float, ...] | None = None,
    ) -> None:
        canvas = self.canvas
        stroke = gc.get_linewidth() > 0 and self._opacity(gc, gc.get_rgb()) > 0
        fill = rgbFace is not None and self._opacity(gc, rgbFace) > 0
        if canvas is None or not (stroke or fill):
            return
        canvas.saveState()
        self._clip(gc)
        if fill:
            canvas.setFillColorRGB(*rgbFace[:3], alpha=self._opacity(gc, rgbFace))
        if stroke:
            self._set_pen(gc)
        canvas.drawPath(self._path(path, transform, rgbFace is None), stroke=stroke, fill=fill)
        canvas.restoreState()

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
        canvas = self.canvas
        if canvas is None:
            return
        canvas.saveState()
        canvas.translate(float(x), float(y))
        canvas.rotate(float(angle))
        canvas.setFillColorRGB(*gc.get_rgb()[:3])
        canvas.setFont(REGULAR, prop.get_size_in_points())
        canvas.drawString(0, 0, s)
        canvas.restoreState()

    def _set_pen(self, gc: GraphicsContextBase) -> None:
        canvas, colour = self.canvas, gc.get_rgb()
        canvas.setStrokeColorRGB(*colour[:3], alpha=self._opacity(gc, colour))
        canvas.setLineWidth(gc.get_linewidth())
        canvas.setLineCap(CAPS[str(getattr(gc.get_capstyle(), "value", gc.get_capstyle()))])
        canvas.setLineJoin(JOINS[str(getattr(gc.get_joinstyle(), "value", gc.get_joinstyle()))])
        offset, dashes = gc.get_dashes()
        if dashes is not None:
            canvas.setDash([float(dash) for dash in dashes], float(offset or 0))

    def _opacity(self, gc: GraphicsContextBase, colour: tuple[float, ...]) -> float:
        if gc.get_forced_alpha() or len(colour) < 4:
            return float(gc.get_alpha() if gc.get_alpha() is not None else 1.0)
        return float(colour[3])

    def _clip(self, gc: GraphicsContextBase) -> None:
        box = gc.get_clip_rectangle()
        if box is not None:
            clip = self.canvas.beginPath()
            clip.rect(*(float(value) for value in box.bounds))
            self.canvas.clipPath(clip, stroke=0, fill=0)

    def _path(self, path: Path, transform: Transform, is_line: bool) -> Any:
        """Clip lines to the page, so that coordinates stay such as PDF readers bear."""
        bounds = (0.0, 0.0, self.width, self.height) if is_line else None
        drawn = self.canvas.beginPath()
        here = (0.0, 0.0)
        for points, code in path.iter_segments(transform, remove_nans=True, clip=bounds):
            p = [float(value) for value in points]
            if code == Path.MOVETO:
                drawn.moveTo(*p)
            elif code == Path.LINETO:
                drawn.lineTo(*p)
            elif code == Path.CURVE3:
                drawn.curveTo(*_cubic(here, p))
            elif code == Path.CURVE4:
                drawn.curveTo(*p)
            elif code == Path.CLOSEPOLY:
                drawn.close()
            here = (p[-2], p[-1])
        return drawn


def _cubic(start: tuple[float, float], points: list[float]) -> list[float]:
    """A quadratic Bézier curve as the cubic one that PDF knows."""
    cx, cy, x, y = points
    first = [start[0] + 2 * (cx - start[0]) / 3, start[1] + 2 * (cy - start[1]) / 3]
    return [*first, x + 2 * (cx - x) / 3, y + 2 * (cy - y) / 3, x, y]
