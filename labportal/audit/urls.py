"""The addresses of the audit trail's pages."""

from django.urls import path

from labportal.audit import views

urlpatterns = [
    path("audit/", views.audit_list, name="audit-list"),
    path("users/<int:user_id>/audit/", views.user_audit, name="user-audit"),
]
