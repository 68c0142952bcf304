"""The demo's models: two of the examples, registered as processes of this machine."""

import shutil
from pathlib import Path

from clusters.models import Cluster
from labportal.accounts.models import User
from labportal.demo.calls import NAMES
from mlmodels.examples.bundle import bundle, describe
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.services import models, operation, versions

#: They run with the demo's own Python, which has numpy: nothing is installed for them.
LEFT_OUT = "requirements.txt"


def folder_of(home: Path) -> Path:
    """The one folder below which the demo's agent serves models from."""
    return home / "models"


def prepare(home: Path, cluster: Cluster, *, creator: User, reviewer: User) -> None:
    """Write the examples' folders; register and start them once: what was deleted stays away."""
    for name in NAMES:
        folder = folder_of(home) / name
        shutil.rmtree(folder, ignore_errors=True)
        (bundle(name, folder) / LEFT_OUT).unlink(missing_ok=True)
    if RegisteredModel.objects.exists():
        return
    for name in NAMES:
        described = describe(name)
        model = models.register(
            name=described.pop("name"),
            description=described.pop("description"),
            stores_bodies=True,
            clusters=[cluster],
            actor=creator,
        )
        version = versions.add_version(
            model,
            runtime=ModelVersion.Runtime.PROCESS,
            folder=str(folder_of(home) / name),
            actor=creator,
            **described,
        )
        versions.approve(version, actor=reviewer)
        model.refresh_from_db()
        operation.start(model, actor=creator)
