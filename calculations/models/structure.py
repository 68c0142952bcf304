"""A structure: atoms with their cell, which calculations share. Its content never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.urls import reverse
from django.utils import timezone

from calculations.models.words import word_index, words_field
from calculations.states import Standing
from labportal.accounts.models import Project

if TYPE_CHECKING:
    from labportal.accounts.models import User


class StructureQuerySet(models.QuerySet["Structure"]):
    def visible_to(self, user: User) -> StructureQuerySet:
        return self.filter(project__in=Project.objects.visible_to(user))


class Structure(models.Model):
    """`content` is extended xyz (Å); `fingerprint` ignores the order of atoms and translation, and
    is unique within a project. `derived_from` is the run whose geometry it is.
    """

    project = models.ForeignKey(Project, models.PROTECT, related_name="structures")
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    words = words_field()
    content = models.TextField()
    formula = models.CharField(max_length=200)  # Hill's order
    elements = ArrayField(models.CharField(max_length=3))
    atom_count = models.PositiveIntegerField()
    periodic = models.CharField(max_length=3, default="FFF")  # T or F along a, b and c
    volume = models.FloatField(null=True, blank=True)  # Å³, of the cell
    fingerprint = models.CharField(max_length=64)
    source_name = models.CharField(max_length=200, blank=True)
    source_format = models.CharField(max_length=20, blank=True)
    tags = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    derived_from = models.ForeignKey(
        "Run", models.SET_NULL, null=True, blank=True, related_name="structures"
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="structures"
    )
    created_at = models.DateTimeField(default=timezone.now)

    objects = StructureQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["project", "fingerprint"], name="structure_once")
        ]
        indexes = [
            models.Index(fields=["project", "-id"]),
            models.Index(fields=["formula"]),
            GinIndex(fields=["elements"], name="structure_elements"),
            GinIndex(fields=["tags"], name="structure_tags"),
            word_index("structure_words"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("molecule-detail", args=[self.pk])

    @property
    def number(self) -> str:
        return f"S-{self.pk}"

    @property
    def doubt(self) -> str:
        """Why its geometry should not be trusted; load `derived_from__calculation` with it."""
        source = self.derived_from.calculation if self.derived_from else None
        if source is None:
            return ""
        if source.standing == Standing.RETRACTED:
            return f"from {source.number}, which was retracted: {source.standing_reason}"
        return source.doubt
