"""The audit trail. A trigger in the database refuses to change or delete rows; record() adds.

People are named by id and name, not by foreign key: the trail outlives an account.
"""

from django.db import models


class AuditEntry(models.Model):
    """One act. `digest` covers the row and the digest before it."""

    at = models.DateTimeField()
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=150, blank=True)
    verb = models.CharField(max_length=80)
    target = models.CharField(max_length=200, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "audit entries"
        indexes = (
            models.Index(fields=("actor_id", "-id"), name="audit_entry_actor"),
            models.Index(fields=("target", "-id"), name="audit_entry_target"),
        )

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_name or 'the portal'} {self.verb}"
