from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "nvr.api"
    label = "api"
    verbose_name = "API"

    def ready(self) -> None:
        from nvr.api import schema  # noqa: F401  # registers its extensions
