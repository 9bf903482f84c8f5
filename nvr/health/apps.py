from django.apps import AppConfig


class HealthConfig(AppConfig):
    name = "nvr.health"
    label = "health"
    verbose_name = "Health"

    def ready(self) -> None:
        from nvr.health.checks import register_all

        register_all()
