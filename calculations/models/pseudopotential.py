"""The lab's library of pseudopotentials: files with what their heads say."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from calculations.models.file import StoredFile


class Pseudopotential(StoredFile):
    """One file for one element, in a named family; the same content is stored once."""

    class Format(models.TextChoices):
        PSF = "psf", "psf"
        PSML = "psml", "psml"
        UPF = "upf", "UPF"

    format = models.CharField(max_length=4, choices=Format.choices)
    element = models.CharField(max_length=3)
    family = models.CharField(max_length=80)
    functional = models.CharField(max_length=40, blank=True)  # as parameters name it: PBE, LDA …
    valence = models.FloatField(null=True, blank=True)  # electrons
    relativistic = models.CharField(max_length=20, blank=True)
    source = models.CharField(max_length=300, blank=True)  # who made it, as the head says
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    added_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["family", "element", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["family", "format", "element"], name="pseudopotential_once"
            )
        ]
        indexes = [models.Index(fields=["element", "format"])]

    def __str__(self) -> str:
        return f"{self.family} {self.name}"

    @property
    def dialog(self) -> str:
        """The id of the question before it is deleted."""
        return f"delete-{self.pk}"
