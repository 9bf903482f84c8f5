"""The project itself as an app: its commands, and the Celery application for every process."""

from django.apps import AppConfig


class NvrConfig(AppConfig):
    name = "nvr"
    verbose_name = "NVR"

    def ready(self) -> None:
        from nvr.celery import app

        app.set_default()  # shared tasks of every process go to our broker
