"""The project itself as an app: its commands, and the Celery application for every process."""

from django.apps import AppConfig


class NvrConfig(AppConfig):
    name = "nvr"
    verbose_name = "NVR"

    def ready(self) -> None:
        from django.core.checks import register

        from nvr.celery import app
        from nvr.installation.checks import check_first_password, check_unknown_variables
        from nvr.queue import periodic

        app.conf.beat_schedule = periodic.entries()
        app.set_default()  # shared tasks of every process go to our broker
        register(check_unknown_variables, "nvr")
        register(check_first_password, "nvr")
