"""Routes of models under /api/v1/; a slash at the end is optional for people's.

Calls of models are not here: they are served natively by ASGI (mlmodels/proxy).
"""

from django.urls import include, path, re_path
from rest_framework.routers import SimpleRouter

from mlmodels.api.agent import ModelEnvironmentView, ModelFileView
from mlmodels.api.calls import AsyncCallsView, AsyncCallView, CancelView, ResultView
from mlmodels.api.models import NAME_PATTERN, ModelViewSet
from mlmodels.api.predictions import BodyView, ExportView, PredictionsView, PredictionView
from mlmodels.api.replicas import LogsView, ReplicasView, RestartView
from mlmodels.api.sending import ModelInputView
from mlmodels.api.versions import ApproveView, ContractView, DeployView, VersionsView, VersionView

router = SimpleRouter()
router.trailing_slash = "/?"
router.register("models", ModelViewSet, basename="api-model")

MODEL = rf"^models/(?P<name>{NAME_PATTERN})"
UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
VERSION = rf"{MODEL}/versions/(?P<number>\d{{1,9}})"
CALLS = rf"{MODEL}/invocations/async"
CALL = rf"{CALLS}/(?P<call_id>{UUID})"
ANSWERS = rf"{MODEL}/predictions"
ANSWER = rf"{ANSWERS}/(?P<number>\d{{1,18}})"

urlpatterns = [
    path(
        "agent/replicas/<uuid:replica>/files/<str:name>",
        ModelFileView.as_view(),
        name="api-agent-model-file",
    ),
    path(
        "agent/replicas/<uuid:replica>/environment",
        ModelEnvironmentView.as_view(),
        name="api-agent-model-environment",
    ),
    re_path(rf"{MODEL}/versions/?$", VersionsView.as_view(), name="api-model-versions"),
    re_path(rf"{VERSION}/?$", VersionView.as_view(), name="api-model-version"),
    re_path(rf"{VERSION}/approve/?$", ApproveView.as_view(), name="api-model-version-approve"),
    re_path(rf"{VERSION}/deploy/?$", DeployView.as_view(), name="api-model-version-deploy"),
    re_path(rf"{VERSION}/contract/?$", ContractView.as_view(), name="api-model-version-contract"),
    re_path(rf"{MODEL}/replicas/?$", ReplicasView.as_view(), name="api-model-replicas"),
    re_path(
        rf"{MODEL}/replicas/(?P<replica>{UUID})/restart/?$",
        RestartView.as_view(),
        name="api-model-replica-restart",
    ),
    re_path(rf"{MODEL}/input/?$", ModelInputView.as_view(), name="api-model-input"),
    re_path(rf"{CALLS}/?$", AsyncCallsView.as_view(), name="api-model-async-calls"),
    re_path(rf"{CALL}/?$", AsyncCallView.as_view(), name="api-model-async-call"),
    re_path(rf"{CALL}/cancel/?$", CancelView.as_view(), name="api-model-async-cancel"),
    re_path(rf"{CALL}/result/?$", ResultView.as_view(), name="api-model-async-result"),
    re_path(rf"{ANSWERS}/?$", PredictionsView.as_view(), name="api-model-predictions"),
    re_path(rf"{ANSWERS}/export/?$", ExportView.as_view(), name="api-model-predictions-export"),
    re_path(rf"{ANSWER}/?$", PredictionView.as_view(), name="api-model-prediction"),
    re_path(
        rf"{ANSWER}/(?P<part>input|output)/?$",
        BodyView.as_view(),
        name="api-model-prediction-body",
    ),
    re_path(rf"{MODEL}/logs/?$", LogsView.as_view(), name="api-model-logs"),
    path("", include(router.urls)),
]
