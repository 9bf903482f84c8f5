from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "nvr.jobs"
    verbose_name = "Jobs"
