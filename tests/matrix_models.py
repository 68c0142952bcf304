"""The rules of the routes of models, and the objects behind them, for tests/matrix_rules.py and
tests/matrix_objects.py.
"""

from collections.abc import Callable
from typing import Any

from labportal.accounts.roles import Can
from mlmodels.models import AsyncInvocation, ModelVersion, Prediction, Replica
from tests.matrix import OWNER, SIGNED_IN, Rules, World, may
from tests.mlmodels import factories

WHO_REGISTERED_IT = frozenset({"ada", "max", "root"})

MODELS: dict[str, Rules] = {
    "model-list": SIGNED_IN,
    "model-register": may(Can.REGISTER_MODEL),
    "model-detail": SIGNED_IN,
    "model-card": SIGNED_IN,
    "model-chart": SIGNED_IN,
    "model-prediction": SIGNED_IN,
    "model-queue": may(Can.CALL_MODEL),
    "model-call": OWNER | may(Can.VIEW_USAGE),
    "model-call-cancel": OWNER | may(Can.MANAGE_MODELS),
    "model-try-document": may(Can.CALL_MODEL),
    "model-try-answer": may(Can.CALL_MODEL),
    "model-edit": WHO_REGISTERED_IT,
    "model-start": WHO_REGISTERED_IT,
    "model-stop": WHO_REGISTERED_IT,
    "model-restart": WHO_REGISTERED_IT,
    "model-roll-back": WHO_REGISTERED_IT,
    "model-delete": WHO_REGISTERED_IT,
    "model-version-add": WHO_REGISTERED_IT,
    "model-version": SIGNED_IN,
    "model-version-approve": may(Can.APPROVE_MODEL),
    "model-version-deploy": WHO_REGISTERED_IT,
    "model-version-check": WHO_REGISTERED_IT,
    "model-replica-restart": WHO_REGISTERED_IT,
    "model-replica-log": SIGNED_IN,
    "model-replica-log-download": SIGNED_IN,
    "api-model-list": {"GET": SIGNED_IN, "POST": may(Can.REGISTER_MODEL)},
    "api-model-detail": {
        "GET": SIGNED_IN,
        "PATCH": WHO_REGISTERED_IT,
        "DELETE": WHO_REGISTERED_IT,
    },
    "api-model-start": WHO_REGISTERED_IT,
    "api-model-stop": WHO_REGISTERED_IT,
    "api-model-restart": WHO_REGISTERED_IT,
    "api-model-roll-back": WHO_REGISTERED_IT,
    "api-model-events": SIGNED_IN,
    "api-model-versions": {"GET": SIGNED_IN, "POST": WHO_REGISTERED_IT},
    "api-model-version": SIGNED_IN,
    "api-model-version-approve": may(Can.APPROVE_MODEL),
    "api-model-version-deploy": WHO_REGISTERED_IT,
    "api-model-version-contract": {"GET": SIGNED_IN, "POST": WHO_REGISTERED_IT},
    "api-model-replicas": SIGNED_IN,
    "api-model-replica-restart": WHO_REGISTERED_IT,
    "api-model-logs": SIGNED_IN,
    "api-model-input": SIGNED_IN,
    "api-model-async-calls": {"GET": SIGNED_IN, "POST": may(Can.CALL_MODEL)},
    "api-model-async-call": OWNER | may(Can.VIEW_USAGE),
    "api-model-async-cancel": OWNER | may(Can.MANAGE_MODELS),
    "api-model-async-result": OWNER | may(Can.VIEW_USAGE),
    "api-model-predictions": SIGNED_IN,
    "api-model-predictions-export": SIGNED_IN,
    "api-model-prediction": {"GET": SIGNED_IN, "DELETE": WHO_REGISTERED_IT},
    "api-model-prediction-body": SIGNED_IN,
}


def version(world: World) -> ModelVersion:
    """Of a model that ada registered."""
    return world.thing(
        "model version",
        lambda _: factories.version(factories.registered(world.people["ada"], "echo")),
    )


def replica(world: World) -> Replica:
    return world.thing(
        "replica", lambda _: factories.replica(version(world), factories.cluster("serving"))
    )


def prediction(world: World) -> Prediction:
    one = version(world)
    return world.thing(
        "prediction",
        lambda _: Prediction.objects.create(
            model=one.model,
            version=one,
            user=world.people["ada"],
            input_type="application/json",
            input_text='{"x": 1}',
        ),
    )


def call(world: World) -> AsyncInvocation:
    """A call that takes long, of ada's."""
    values = {"model": version(world).model, "user": world.people["ada"]}
    return world.thing(
        "async call",
        lambda _: AsyncInvocation.objects.create(content_type="application/json", **values),
    )


def name(world: World) -> str:
    return version(world).model.name


MODEL_VALUES: tuple[tuple[str, str, Callable[[World], Any]], ...] = (
    ("model-detail", "tab", lambda _: "versions"),
    ("model-chart", "chart", lambda _: "rate"),
    ("model-call*", "call_id", lambda world: call(world).pk),
    ("api-model-async-*", "call_id", lambda world: call(world).pk),
    ("api-model-prediction*", "number", lambda world: prediction(world).pk),
    ("model-prediction*", "prediction_id", lambda world: prediction(world).pk),
    ("api-model-prediction-body", "part", lambda _: "input"),
    ("*model-*", "name", name),
    ("*model-version*", "number", lambda world: version(world).number),
    ("*model-replica-*", "replica", lambda world: replica(world).pk),
    ("api-agent-model-*", "replica", lambda world: replica(world).pk),
)
