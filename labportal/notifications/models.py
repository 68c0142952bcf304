"""Notifications: a row is both the entry in a person's inbox and the outbox of its e-mail.
Announcements: what the admins tell everybody.
"""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone

from labportal.accounts.models import Level

__all__ = ["Announcement", "EmailState", "Level", "Notification"]


class EmailState(models.TextChoices):
    NONE = "none", "Not by e-mail"
    PENDING = "pending", "Waiting"
    SENDING = "sending", "Being sent"
    SENT = "sent", "Sent"
    FAILED = "failed", "Given up"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def visible_to(self, user: Any) -> "NotificationQuerySet":
        """One's own, whatever one's role."""
        if not getattr(user, "is_authenticated", False) or not user.is_active:
            return self.none()
        return self.filter(user=user)

    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at=None)


class Notification(models.Model):
    """`key` names the occasion; the same occasion is told to a person once."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications"
    )
    level = models.CharField(
        max_length=8, choices=[(Level.INFO, "Info"), (Level.ERROR, "Error")], default=Level.INFO
    )
    subject = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    url = models.CharField(max_length=300, blank=True)
    key = models.CharField(max_length=200)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    read_at = models.DateTimeField(null=True, blank=True)
    email_state = models.CharField(
        max_length=8, choices=EmailState.choices, default=EmailState.NONE
    )
    email_tries = models.PositiveSmallIntegerField(default=0)
    email_next_at = models.DateTimeField(null=True, blank=True)
    email_sent_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[models.Manager["Notification"]] = NotificationQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("user", "key"), name="notifications_told_once"),
        )
        indexes = (
            models.Index(
                fields=("user", "-id"),
                condition=models.Q(read_at=None),
                name="notifications_unread",
            ),
            models.Index(
                fields=("email_next_at",),
                condition=models.Q(email_state__in=("pending", "sending")),
                name="notifications_outbox",
            ),
        )

    def __str__(self) -> str:
        return f"{self.level}: {self.subject}"


class Announcement(models.Model):
    """A line on top of every page, from a time until a time, until each person puts it away."""

    class Level(models.TextChoices):
        INFO = "info", "For information"
        WARNING = "warning", "Something is limited"

    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    text = models.CharField(max_length=500)
    from_at = models.DateTimeField(default=timezone.now)
    until_at = models.DateTimeField(null=True, blank=True)
    cluster = models.ForeignKey(
        "clusters.Cluster", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    put_away_by = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+", blank=True)

    class Meta:
        ordering = ("-from_at", "-pk")

    def __str__(self) -> str:
        return self.text[:80]
