from django.apps import AppConfig


class JobsTestsConfig(AppConfig):
    name = "tests.jobs"
    label = "jobs_tests"
