"""The Django application of models."""

from django.apps import AppConfig


class MlmodelsConfig(AppConfig):
    name = "mlmodels"
    verbose_name = "Models"

    def ready(self) -> None:
        from mlmodels import registration

        registration.register()
