"""The addresses of the inbox and of announcements."""

from django.urls import path

from labportal.notifications import announcement_views, views

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
    path("announcements/", announcement_views.announcement_list, name="announcement-list"),
    path(
        "announcements/<int:announcement_id>/",
        announcement_views.announcement_edit,
        name="announcement-edit",
    ),
    path(
        "announcements/<int:announcement_id>/end/",
        announcement_views.announcement_end,
        name="announcement-end",
    ),
    path(
        "announcements/<int:announcement_id>/away/",
        announcement_views.announcement_away,
        name="announcement-away",
    ),
]
