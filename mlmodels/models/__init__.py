"""Registered models, their versions and replicas, and the calls to them.

Services of this app write these rows.
"""

from mlmodels.models.call import AsyncInvocation, Invocation, Prediction
from mlmodels.models.event import ModelEvent
from mlmodels.models.registered import RegisteredModel
from mlmodels.models.replica import ContractCheck, Replica
from mlmodels.models.version import ModelVersion

__all__ = [
    "AsyncInvocation",
    "ContractCheck",
    "Invocation",
    "ModelEvent",
    "ModelVersion",
    "Prediction",
    "RegisteredModel",
    "Replica",
]
