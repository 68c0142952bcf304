"""What agents fetch for the replicas that they serve: the model's files, its secret variables.
Every carrier comes through here; what is another cluster's is not there.
"""

from __future__ import annotations

from uuid import UUID

from clusters.models import Cluster
from labportal.common.errors import NotFound
from mlmodels.models import ModelVersion, Replica
from mlmodels.services.specs import FILES_NAME
from mlmodels.services.versions import secrets_of
from mlmodels.states import ReplicaWanted


def served_version(cluster: Cluster, replica: UUID) -> ModelVersion:
    """Return what the cluster is to serve by this replica. Raises NotFound."""
    rows = Replica.objects.filter(
        pk=replica, cluster=cluster, wanted=ReplicaWanted.SERVE, removed_at=None
    )
    found = rows.select_related("version__model").first()
    if found is None:
        raise NotFound
    return found.version


def model_file(cluster: Cluster, replica: UUID, name: str) -> ModelVersion:
    """Return the version whose `files_key` it is. Raises NotFound."""
    version = served_version(cluster, replica)
    if name != FILES_NAME or not version.files_key:
        raise NotFound
    return version


def environment(cluster: Cluster, replica: UUID) -> dict[str, str]:
    """Return the secret variables alone; the others stand in the spec. Raises NotFound."""
    return secrets_of(served_version(cluster, replica))
