"""Where calculations run: clusters, their agents' keys, and what the agents tell of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone

from calculations.software.base import Resources
from clusters import abilities

SILENT_AFTER = timedelta(seconds=settings.LEASE_S / 2)  # before leases end: it gets no new runs
HELD_AFTER = 5  # runs lost in a row, none of them twice


class Cluster(models.Model):
    class Carrier(models.TextChoices):
        HTTPS = "https", "Agent calls the portal (HTTPS)"
        SSH = "ssh", "Portal signs in (SSH)"
        QUEUE = "queue", "Node of the lab takes from a queue (Celery)"

    name = models.CharField(
        max_length=60,
        unique=True,
        validators=[
            RegexValidator(
                r"^[a-z0-9][a-z0-9.-]*$",
                "Use lower-case letters, digits, dots and hyphens, such as tesla-1.",
            )
        ],
    )
    description = models.TextField(blank=True)
    carrier = models.CharField(max_length=10, choices=Carrier.choices, default=Carrier.HTTPS)
    enabled = models.BooleanField(default=True)
    draining = models.BooleanField(default=False)  # what runs there ends, nothing new goes there
    maintenance_note = models.CharField(max_length=300, blank=True)
    # The circuit breaker: too many runs were lost here in a row; an admin lets work in again.
    held_at = models.DateTimeField(null=True, blank=True)
    held_reason = models.CharField(max_length=300, blank=True)
    lost_in_a_row = models.PositiveIntegerField(default=0)
    max_runs = models.PositiveIntegerField(
        "runs at once",
        null=True,
        blank=True,
        help_text="Empty: as many as the agent offers.",
        validators=[MinValueValidator(1), MaxValueValidator(10_000)],
    )
    max_runs_per_user = models.PositiveIntegerField(null=True, blank=True)
    max_runs_per_project = models.PositiveIntegerField(null=True, blank=True)
    price_core_hour = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    price_gpu_hour = models.DecimalField(max_digits=10, decimal_places=4, null=True, blank=True)
    update_wanted = models.CharField(max_length=40, blank=True)  # the agent's version to change to
    update_wanted_at = models.DateTimeField(null=True, blank=True)
    update_may_go_back = models.BooleanField(default=False)  # to a version older than the agent's
    created_at = models.DateTimeField(default=timezone.now)

    # What the agent last said of itself.
    agent_id = models.CharField(max_length=64, blank=True)
    agent_boot = models.CharField(max_length=64, blank=True)
    superseded_boots = models.JSONField(default=list, blank=True)  # those before, newest first
    agent_version = models.CharField(max_length=40, blank=True)
    agent_host = models.CharField(max_length=200, blank=True)
    last_exchange_at = models.DateTimeField(null=True, blank=True)
    clock_skew_s = models.FloatField(null=True, blank=True)
    capacity = models.JSONField(default=dict, blank=True)

    # The exchange's counters; written under this row's lock.
    desired = models.PositiveBigIntegerField(default=0)
    acknowledged = models.PositiveBigIntegerField(default=0)
    mean_run_s = models.FloatField(default=60.0)
    purges_pending = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("cluster-detail", args=[self.name])

    @property
    def slots_total(self) -> int:
        offered = int(self.capacity.get("slots", {}).get("total", 0))
        return min(offered, self.max_runs) if self.max_runs else offered

    @property
    def software(self) -> dict[str, dict[str, Any]]:
        return self.capacity.get("software", {})

    def offers(self, software: str) -> bool:
        return bool(self.software.get(software, {}).get("ok"))

    def why_never(self, asked: Resources) -> str:
        """Why it can never run what asks for so much, to be read after its name; "" where it
        can.
        """
        return abilities.why_never(self.capacity, asked)

    @property
    def limits(self) -> abilities.Limits:
        return abilities.limits(self.capacity)

    def is_silent(self, now: datetime | None = None) -> bool:
        last = self.last_exchange_at
        return last is None or (now or timezone.now()) - last > SILENT_AFTER

    def takes_work(self, now: datetime | None = None) -> bool:
        """Whether runs may be handed out there; while it is `on_trial`, one at a time."""
        return not self.why_not(now)

    def why_not(self, now: datetime | None = None) -> str:
        """Why no run may be handed out there, to be read after its name; "" where one may."""
        if self.closed:
            return self.closed
        if self.last_exchange_at is None:
            return "was never heard"
        return "is silent" if self.is_silent(now) else ""

    @property
    def closed(self) -> str:
        """Why people, or the circuit breaker, let no work in; "" where they do."""
        note = f": {self.maintenance_note}" if self.maintenance_note else ""
        if not self.enabled:
            return f"is disabled{note}"
        if self.draining:
            return f"takes no new work{note}"
        return f"is held: {self.held_reason}" if self.held_at is not None else ""

    @property
    def on_trial(self) -> bool:
        """Let in again after it was held; its next run shows whether it is well."""
        return self.held_at is None and self.lost_in_a_row >= HELD_AFTER


class ApiKey(models.Model):
    """An agent's key: the secret is shown once and only its HMAC digest is stored."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="api_keys")
    prefix = models.CharField(max_length=12, unique=True)
    digest = models.CharField(max_length=64)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    # Signs what travels through a broker, where only a digest of the secret could not; encrypted.
    sealed_signing_key = models.TextField(blank=True)
    # Of the newest signed message that was taken, by its sender's clock: what is not newer is
    # refused, so that nothing which was sent once counts twice.
    last_signed_ms = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"lpk_{self.prefix}_…"


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


class Licence(models.Model):
    """A licence that runs take: `seats` over all clusters, whatever a site's scheduler counts."""

    name = models.CharField(max_length=60, unique=True)
    seats = models.PositiveIntegerField(validators=[MinValueValidator(1)])

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Usage(models.Model):
    """What a person used in a project, halved with each half-life; for fair share.

    `core_s` holds at `at`; GPUs count as the settings say.
    """

    project = models.ForeignKey("accounts.Project", models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    core_s = models.FloatField(default=0.0)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name_plural = "usage"
        constraints = [
            models.UniqueConstraint(fields=["project", "user"], name="usage_of_each_once")
        ]

    def __str__(self) -> str:
        return f"{self.core_s:.0f} core seconds"


class Metrics(models.Model):
    """One heartbeat: what a cluster's machine did at that moment."""

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="metrics")
    at = models.DateTimeField()
    cpu_percent = models.FloatField(null=True)
    memory_mib = models.FloatField(null=True)
    memory_total_mib = models.FloatField(null=True)
    load1 = models.FloatField(null=True)
    disk_free_mib = models.FloatField(null=True)
    gpus = models.JSONField(default=list)
    # What the scheduler tells of the whole site: {"nodes": {…}, "cores": {…}, "jobs": {…}}.
    site = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["cluster", "-at"], name="metrics_by_time")]
        verbose_name_plural = "metrics"

    def __str__(self) -> str:
        return f"{self.cluster_id} at {self.at:%H:%M:%S}"


class MetricsSummary(models.Model):
    """`step_s` seconds of heartbeats in one row: `values` by the charts' names as
    [least, mean, most, how many].
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="metrics_summaries")
    step_s = models.PositiveIntegerField()
    at = models.DateTimeField()  # the beginning
    count = models.PositiveIntegerField()
    values = models.JSONField(default=dict)

    class Meta:
        verbose_name_plural = "metrics summaries"
        constraints = [
            models.UniqueConstraint(fields=["cluster", "step_s", "at"], name="metrics_summary_once")
        ]

    def __str__(self) -> str:
        return f"{self.cluster_id} from {self.at:%Y-%m-%d %H:%M:%S}, {self.step_s} s"


class MetricsMark(models.Model):
    """Up to which heartbeat a cluster's metrics are summarised; `at`: when somebody looked."""

    cluster = models.OneToOneField(Cluster, models.CASCADE, related_name="metrics_mark")
    upto = models.PositiveBigIntegerField(default=0)
    at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.cluster_id} up to {self.upto}"


class LogLine(models.Model):
    """A line of an agent's own log (service "agent") or of a run's program (service "program")."""

    class Level(models.TextChoices):
        DEBUG = "DEBUG", "Debug"
        INFO = "INFO", "Info"
        WARNING = "WARNING", "Warning"
        ERROR = "ERROR", "Error"

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="log_lines")
    run = models.ForeignKey("calculations.Run", models.CASCADE, null=True, related_name="log_lines")
    at = models.DateTimeField()
    service = models.CharField(max_length=20)
    level = models.CharField(max_length=8, choices=Level.choices, default=Level.INFO)
    text = models.TextField()

    class Meta:
        indexes = [
            models.Index(fields=["run", "id"], name="log_by_run"),
            models.Index(fields=["cluster", "-id"], name="log_by_cluster"),
            models.Index(fields=["level", "-id"], name="log_by_level"),
            BrinIndex(fields=["at"], name="log_by_time", autosummarize=True),
        ]

    def __str__(self) -> str:
        return self.text[:80]


class Purge(models.Model):
    """The order to delete a run's raw files on its cluster, and afterwards their tombstone.

    `attempt`: the newest whose files may go; a later one has begun anew. `files`: the deleted files
    as [{"name", "size", "sha256"}], the first of `file_count`.
    """

    cluster = models.ForeignKey(Cluster, models.CASCADE, related_name="purges")
    run = models.ForeignKey("calculations.Run", models.CASCADE, related_name="purges")
    attempt = models.PositiveIntegerField(default=0)
    keep = models.JSONField(default=list)
    wanted_at = models.DateTimeField(default=timezone.now)
    wanted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    done_at = models.DateTimeField(null=True, blank=True)
    freed_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    kept_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    files = models.JSONField(default=list, blank=True)
    file_count = models.PositiveIntegerField(default=0)
    file_bytes = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering = ["wanted_at", "pk"]
        indexes = [
            models.Index(fields=["cluster"], name="purge_pending", condition=models.Q(done_at=None))
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["run", "cluster"],
                name="purge_wanted_once",
                condition=models.Q(done_at=None),
            )
        ]

    def __str__(self) -> str:
        return f"purge of {self.run_id}"
