"""The report of a calculation as a file: PDF, one HTML file, JSON."""

from __future__ import annotations

from abc import abstractmethod
from typing import BinaryIO

from calculations.exports.base import Asked, OfCalculation, Progress
from calculations.report import html, json, pdf
from calculations.report.document import Report
from calculations.report.gather import gather

# Beyond so many runs a report is not made while somebody waits for the page.
MOST_AT_ONCE = 200


class _Report(OfCalculation):
    @abstractmethod
    def render(self, report: Report) -> bytes:
        """Return the whole file."""

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        progress(0, 2)
        report = gather(asked.about)
        progress(1, 2)
        stream.write(self.render(report))
        progress(2, 2)


class ReportPdf(_Report):
    name = "report-pdf"
    label = "Report, PDF"
    help = "For reading and printing: results, figures, and all that stands behind them."
    content_type = "application/pdf"
    ending = "report.pdf"

    def render(self, report: Report) -> bytes:
        return pdf.render(report)


class ReportHtml(_Report):
    name = "report-html"
    label = "Report, HTML"
    help = "The same in one file for the browser: figures inside, light and dark, no network."
    content_type = "text/html; charset=utf-8"
    ending = "report.html"

    def render(self, report: Report) -> bytes:
        return html.render(report)


class ReportJson(_Report):
    name = "report-json"
    label = "Report, JSON"
    help = "Everything that the report says and more, for programs."
    content_type = "application/json"
    ending = "report.json"

    def render(self, report: Report) -> bytes:
        return json.render(report)
