"""Every table of a calculation in one zip: as CSV for people, as JSON with names and units."""

from __future__ import annotations

from typing import BinaryIO

from calculations.exports import tables
from calculations.exports.archive import Archive, Entry
from calculations.exports.base import Asked, OfCalculation, Progress
from calculations.models import Calculation


class Tables(OfCalculation):
    name = "tables"
    label = "All tables, CSV and JSON"
    help = "Runs, analyses and every series of every run, zipped."
    content_type = "application/zip"
    ending = "tables.zip"

    def write(self, asked: Asked, stream: BinaryIO, progress: Progress) -> None:
        calculation: Calculation = asked.about
        total = calculation.datasets.count() + 2
        with Archive(stream) as archive:
            for number, (folder, table) in enumerate(tables.all_of(calculation), start=1):
                add_table(archive, folder, table)
                progress(min(number, total), total)


def add_table(archive: Archive, folder: str, table: tables.Table) -> list[Entry]:
    return [
        archive.add(folder, f"{table.name}.csv", table.csv()),
        archive.add(folder, f"{table.name}.json", table.json()),
    ]
