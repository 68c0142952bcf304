"""The report of a calculation as a file: PDF, one HTML file, JSON."""

from __future__ import annotations

from typing import BinaryIO

from calculations.exports.base import Asked, OfCalculation, Progress
from calculations.report import json, pdf
from calculations.report.gather import gather


class ReportPdf(OfCalculation):
    name = "report-pdf"
    label = "Report, PDF"
    help = "For reading and printing: results, figures, and all that stands behind them."
    content_type = "application/pdf"
    ending = "report.pdf"

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        progress(0, 2)
        report = gather(asked.about)
        progress(1, 2)
        stream.write(pdf.render(report))
        progress(2, 2)


class ReportJson(OfCalculation):
    name = "report-json"
    label = "Report, JSON"
    help = "Everything that the report says and more, for programs."
    content_type = "application/json"
    ending = "report.json"

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        stream.write(json.render(gather(asked.about)))
