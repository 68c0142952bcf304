"""Pages of models."""

from django.urls import path

from mlmodels.views import (
    background,
    detail,
    listing,
    logs,
    prediction,
    registering,
    trying,
    using,
    verbs,
)

urlpatterns = [
    path("models/", listing.model_list, name="model-list"),
    path("models/new/", registering.model_register, name="model-register"),
    path("models/<slug:name>/", detail.model_detail, name="model-detail"),
    path("models/<slug:name>/card/", listing.model_card, name="model-card"),
    path("models/<slug:name>/edit/", registering.model_edit, name="model-edit"),
    path("models/<slug:name>/try/document/", trying.try_document, name="model-try-document"),
    path("models/<slug:name>/try/answer/", trying.try_answer, name="model-try-answer"),
    path("models/<slug:name>/use/<slug:chart>.json", using.model_chart, name="model-chart"),
    path(
        "models/<slug:name>/predictions/<int:prediction_id>/",
        prediction.prediction_detail,
        name="model-prediction",
    ),
    path("models/<slug:name>/queue/", background.model_queue, name="model-queue"),
    path("models/<slug:name>/calls/<uuid:call_id>/", background.call_detail, name="model-call"),
    path(
        "models/<slug:name>/calls/<uuid:call_id>/cancel/",
        background.call_cancel,
        name="model-call-cancel",
    ),
    path("models/<slug:name>/start/", verbs.start, name="model-start"),
    path("models/<slug:name>/stop/", verbs.stop, name="model-stop"),
    path("models/<slug:name>/restart/", verbs.restart, name="model-restart"),
    path("models/<slug:name>/roll-back/", verbs.roll_back, name="model-roll-back"),
    path("models/<slug:name>/delete/", verbs.delete, name="model-delete"),
    path("models/<slug:name>/versions/new/", registering.version_add, name="model-version-add"),
    path(
        "models/<slug:name>/versions/<int:number>/",
        registering.version_detail,
        name="model-version",
    ),
    path(
        "models/<slug:name>/versions/<int:number>/approve/",
        verbs.approve,
        name="model-version-approve",
    ),
    path(
        "models/<slug:name>/versions/<int:number>/deploy/",
        verbs.deploy,
        name="model-version-deploy",
    ),
    path(
        "models/<slug:name>/versions/<int:number>/contract/",
        verbs.check,
        name="model-version-check",
    ),
    path(
        "models/<slug:name>/replicas/<uuid:replica>/restart/",
        verbs.restart_replica,
        name="model-replica-restart",
    ),
    path(
        "models/<slug:name>/replicas/<uuid:replica>/log/",
        logs.replica_log,
        name="model-replica-log",
    ),
    path(
        "models/<slug:name>/replicas/<uuid:replica>/log/download/",
        logs.replica_log_download,
        name="model-replica-log-download",
    ),
    path("models/<slug:name>/<slug:tab>/", detail.model_detail, name="model-detail"),
]
