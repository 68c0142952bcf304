"""The typefaces of reports: DejaVu from matplotlib, since it has Å, ³, ₂ and the minus sign."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

REGULAR, BOLD, MONO = "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono"
SMALL = 7.5  # points, of tables


@lru_cache(maxsize=1)
def folder() -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@lru_cache(maxsize=1)
def register() -> None:
    """Make the typefaces known to reportlab; once in a process."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name in (REGULAR, BOLD, MONO):
        pdfmetrics.registerFont(TTFont(name, str(folder() / f"{name}.ttf")))
    pdfmetrics.registerFontFamily(
        REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD
    )
