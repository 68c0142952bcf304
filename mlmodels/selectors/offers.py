"""Which models a structure or a calculation can be sent to, and what each would get."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.common.sending import Subject
from mlmodels.fitting import Fit, fit
from mlmodels.models import ModelVersion, RegisteredModel
from mlmodels.models.version import HEAVY

MOST_MODELS = 100
NOT_FITTED = frozenset(HEAVY) - {"input_schema"}


@dataclass(frozen=True, slots=True)
class Offer:
    model: RegisteredModel
    version: ModelVersion
    fit: Fit
    subject: Subject

    @property
    def can_send(self) -> bool:
        """Whether one click is enough, now."""
        return self.fit.is_whole and self.model.answers

    @property
    def url(self) -> str:
        """The form, filled with what fits."""
        page = reverse("model-detail", args=[self.model.name, "try"])
        return f"{page}?with={self.subject.key}"

    @property
    def missing(self) -> str:
        return ", ".join(self.fit.missing)


def offers(user: User, subject: Subject) -> list[Offer]:
    """Those that take it first, by name; models that nothing of it fits are not among them."""
    if not can(user, Can.CALL_MODEL):
        return []
    rows = RegisteredModel.objects.visible_to(user).exclude(current=None)
    found = []
    rows = rows.select_related("current").defer(*(f"current__{name}" for name in NOT_FITTED))
    for model in rows.order_by("name")[:MOST_MODELS]:
        version = model.current
        fitted = fit(subject, version.accepts, version.input_schema)
        if fitted is not None:
            found.append(Offer(model, version, fitted, subject))
    return sorted(found, key=lambda one: (not one.can_send, not one.fit.is_whole))
