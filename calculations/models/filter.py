"""A person's own way to narrow a list, of calculations or of results, under a name."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class SavedFilter(models.Model):
    """`query` is the address of the page's list behind its question mark, as services/filters.py
    writes it.
    """

    class Page(models.TextChoices):
        CALCULATIONS = "calculations", "Calculations"
        ANALYSES = "analyses", "Analyses"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_filters")
    page = models.CharField(max_length=12, choices=Page.choices, default=Page.CALCULATIONS)
    name = models.CharField(max_length=60)
    query = models.TextField()
    is_default = models.BooleanField(default=False)  # the list opens with it

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["user", "page", "name"], name="saved_filter_name_once"),
            models.UniqueConstraint(
                fields=["user", "page"],
                condition=models.Q(is_default=True),
                name="saved_filter_default_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name
