"""How the portal signs in to a site by SSH, and each time that it did."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from clusters.models.cluster import Cluster


class SshAccess(models.Model):
    """How the portal signs in to a cluster that it reaches by SSH. Secrets are encrypted."""

    cluster = models.OneToOneField(Cluster, models.CASCADE, related_name="ssh")
    host = models.CharField(max_length=255)
    port = models.PositiveIntegerField(
        default=22, validators=[MinValueValidator(1), MaxValueValidator(65535)]
    )
    user = models.CharField(max_length=64)
    work = models.CharField("work folder", max_length=500, default="~/labportal")
    python = models.CharField(max_length=300, default="python3")
    scheduler = models.CharField(max_length=20, default="process")
    agent_settings = models.TextField(blank=True)  # further sections of the agent's INI file
    sealed_key = models.TextField(blank=True)
    certificate = models.TextField(blank=True)
    public_key = models.TextField(blank=True)
    # The host's keys as known_hosts holds them; used only once somebody has confirmed them.
    host_keys = models.TextField(blank=True)
    offered_host_keys = models.TextField(blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # The site's budget: how often it may be signed in to, and how many channels may be open.
    most_per_minute = models.PositiveIntegerField(default=6)
    most_at_once = models.PositiveIntegerField(default=2)
    exchange_s = models.PositiveIntegerField(default=30)
    session_s = models.PositiveIntegerField(default=600)  # the longest stay of the agent in one go
    reaches_store = models.BooleanField(default=False)  # it fetches files from S3 by itself
    agent_sha256 = models.CharField(max_length=64, blank=True)  # of the file that was put there
    last_try_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    not_before = models.DateTimeField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True)  # until an operator lets it try again
    told = models.PositiveBigIntegerField(default=0)  # Cluster.desired as the agent last heard it

    class Meta:
        verbose_name_plural = "SSH accesses"

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


class SshSession(models.Model):
    """One time that the portal was at a site: counted by its budget, shown in the page.

    A session that `expires_at` without an end belongs to a worker that is gone.
    """

    class Kind(models.TextChoices):
        EXCHANGE = "exchange", "Exchange"
        TEST = "test", "Test"
        SCAN = "scan", "Host keys asked for"

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="ssh_sessions")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    began_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=40, blank=True)  # of what went wrong
    words = models.CharField(max_length=500, blank=True)
    steps = models.JSONField(default=list, blank=True)  # of a test
    exchanges = models.PositiveIntegerField(default=0)
    bytes_sent = models.PositiveBigIntegerField(default=0)  # of files
    bytes_fetched = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["-began_at"]
        verbose_name = "SSH session"
        verbose_name_plural = "SSH sessions"
        indexes = [models.Index(fields=["cluster", "-began_at"], name="ssh_sessions_by_time")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.began_at:%Y-%m-%d %H:%M:%S}"
