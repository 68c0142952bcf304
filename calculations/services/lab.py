"""The lab's own settings: changed by admins, on record in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from calculations.models import LabSettings
from labportal.accounts.models import User
from labportal.accounts.roles import Can, require
from labportal.audit.services import record
from labportal.common.storage_trial import try_storage
from labportal.common.trial import Trial


@transaction.atomic
def change_settings(values: Mapping[str, Any], *, actor: User) -> LabSettings:
    """Write what differs, record old and new; the caller's form has checked `values`."""
    require(actor, Can.MANAGE_SETTINGS)
    settings = LabSettings.objects.select_for_update().get(pk=LabSettings.current().pk)
    changed = {
        name: [getattr(settings, name), value]
        for name, value in values.items()
        if getattr(settings, name) != value
    }
    for name, (_, value) in changed.items():
        setattr(settings, name, value)
    if changed:
        settings.save(update_fields=list(changed))
        record(actor, "settings.change", target="lab settings", detail=changed)
    return settings


def try_file_store(*, actor: User) -> Trial:
    """Try the file store and put on record what came of it."""
    require(actor, Can.MANAGE_SETTINGS)
    trial = try_storage()
    record(actor, "storage.test", detail={"ok": trial.ok, "result": trial.words})
    return trial
