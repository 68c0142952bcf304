"""One version of a model: what is run, with which files, and what it takes and gives. Never changed
once it was approved.
"""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

#: Long columns: megabytes, which only who shows a version or calls it needs.
HEAVY = ("example", "input_schema", "output_schema", "sealed_secrets")


def without_heavy(*paths: str) -> list[str]:
    """For `defer`: the long columns of the versions at these paths; "" is the row itself."""
    return [f"{path}__{name}" if path else name for path in paths for name in HEAVY]


class ModelVersion(models.Model):
    """`folder` and `command`: for the process runtime, a folder on the node and what is started in
    it (`serve` is added as the contract has it); `image`: for containers. `files_key`: the tar.gz
    that is unpacked into /opt/ml/model. `accepts`: content types of its input, `example`: a body
    of the first of them, as text.
    """

    class Runtime(models.TextChoices):
        CONTAINER = "container", "Container (podman or docker)"
        PROCESS = "process", "Process"

    model = models.ForeignKey("mlmodels.RegisteredModel", models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    note = models.CharField(max_length=300, blank=True)
    runtime = models.CharField(max_length=10, choices=Runtime.choices)
    image = models.CharField(max_length=300, blank=True)
    folder = models.CharField(max_length=500, blank=True)
    command = models.JSONField(default=list, blank=True)

    files_name = models.CharField(max_length=200, blank=True)
    files_size = models.PositiveBigIntegerField(default=0)
    files_sha256 = models.CharField(max_length=64, blank=True)
    files_key = models.CharField(max_length=300, blank=True)

    environment = models.JSONField(default=dict, blank=True)
    sealed_secrets = models.TextField(blank=True)  # a JSON object, encrypted; write-only
    secret_names = models.JSONField(default=list, blank=True)

    cores = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1)])
    memory_mib = models.PositiveIntegerField(
        "memory (MiB)", default=1024, validators=[MinValueValidator(16)]
    )
    gpus = models.PositiveIntegerField(default=0)
    gpu_type = models.CharField(max_length=60, blank=True)
    read_only_root = models.BooleanField(default=True)
    startup_s = models.PositiveIntegerField(
        "start-up window (s)",
        default=480,
        validators=[MinValueValidator(60), MaxValueValidator(3600)],
    )

    accepts = models.JSONField(default=list, blank=True)
    input_schema = models.JSONField(default=dict, blank=True)
    output_schema = models.JSONField(default=dict, blank=True)
    example = models.TextField(blank=True)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    contract_passed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="model_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"

    @property
    def approved(self) -> bool:
        return self.approved_at is not None
