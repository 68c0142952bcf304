"""The app of what every other app shares. It imports no other app."""

from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "labportal.common"
    label = "common"
