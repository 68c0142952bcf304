"""Files of calculations: what a scientist supplied, and what a run left that is worth keeping."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from calculations.models.calculation import Calculation
from calculations.models.run import Run


class StoredFile(models.Model):
    name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField()
    sha256 = models.CharField(max_length=64)
    key = models.CharField(max_length=300)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


class InputFile(StoredFile):
    calculation = models.ForeignKey(Calculation, models.CASCADE, related_name="input_files")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["calculation", "name"], name="input_file_once")
        ]


class OutputFile(StoredFile):
    run = models.ForeignKey(Run, models.CASCADE, related_name="output_files")
    attempt = models.PositiveIntegerField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["run", "attempt", "name"], name="output_file_once")
        ]
