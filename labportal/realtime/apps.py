"""The app of live events: what happens in the portal reaches the pages that watch it."""

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "labportal.realtime"
    label = "realtime"

    def ready(self) -> None:
        from labportal.realtime import access
        from labportal.realtime.topics import register_topic

        register_topic("project", access.may_watch_project)
        register_topic("user", access.may_watch_user)
