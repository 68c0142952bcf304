"""A template: what a calculation may start from, under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone

from labportal.accounts.models import Project

if TYPE_CHECKING:
    from labportal.accounts.models import User


class TemplateQuerySet(models.QuerySet["Template"]):
    def visible_to(self, user: User) -> TemplateQuerySet:
        return self.filter(project__in=Project.objects.visible_to(user))


class Template(models.Model):
    """`content` holds the fields of a draft but its name and project: parameters, sweep, …"""

    project = models.ForeignKey(Project, models.CASCADE, related_name="templates")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    software = models.CharField(max_length=60)
    content = models.JSONField(default=dict)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)

    objects = TemplateQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="template_name_once")
        ]

    def __str__(self) -> str:
        return self.name
