"""The addresses of the inbox."""

from django.urls import path

from labportal.notifications import views

urlpatterns = [
    path("notifications/", views.notification_list, name="notification-list"),
    path("notifications/unread/", views.unread, name="notification-unread"),
    path("notifications/read/", views.read_all, name="notification-read-all"),
    path(
        "notifications/<int:notification_id>/read/",
        views.read,
        name="notification-read",
    ),
    path("settings/email-test/", views.email_test, name="email-test"),
]
