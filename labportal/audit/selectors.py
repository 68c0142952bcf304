"""Reads the audit trail for those who may: moderators and admins."""

from django.db.models import Q, QuerySet

from labportal.accounts.models import User
from labportal.accounts.roles import Can, can
from labportal.audit.models import AuditEntry


def visible_to(user: User) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.all() if can(user, Can.VIEW_AUDIT) else AuditEntry.objects.none()


def trail_of(person: User, *, viewer: User) -> QuerySet[AuditEntry]:
    """What a person did and what was done to their account, newest first."""
    about = Q(actor_id=person.pk) | Q(target=f"user:{person.pk}")
    return visible_to(viewer).filter(about)


def search(entries: QuerySet[AuditEntry], *, text: str) -> QuerySet[AuditEntry]:
    """Keep the entries that name each word as verb, person or target."""
    for word in text.split():
        entries = entries.filter(
            Q(verb__icontains=word) | Q(actor_name__icontains=word) | Q(target__icontains=word)
        )
    return entries
