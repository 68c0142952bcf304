"""The Django application of calculations."""

from django.apps import AppConfig


class CalculationsConfig(AppConfig):
    name = "calculations"
    verbose_name = "Calculations"

    def ready(self) -> None:
        from calculations import frame, registration

        registration.register()
        frame.register()
