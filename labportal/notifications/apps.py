"""The app of telling people: the inbox in the page, and e-mail at the level that each one chose."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "labportal.notifications"
    label = "notifications"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from labportal.common.navigation import NavEntry, Section, register_nav
        from labportal.common.panels import register_panel
        from labportal.notifications.announcement_views import banner
        from labportal.notifications.email_trial import panel
        from labportal.notifications.selectors import unread_count

        register_nav(
            NavEntry(
                "Notifications",
                "notification-list",
                count=unread_count,
                section=Section.BELL,
            )
        )
        register_panel("settings", "email", panel, order=10)
        register_panel("banner", "announcement", banner)
