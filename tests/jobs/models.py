"""A job that does nothing: the engine's behaviour without an app around it."""

from datetime import timedelta

from django.db import models

from nvr.jobs.models import LeasedJob, LeasedJobQuerySet, leased_job_constraints


class SampleJobQuerySet(LeasedJobQuerySet["SampleJob"]):
    pass


class SampleJob(LeasedJob):
    TASK = "tests.sample"
    LEASE = timedelta(seconds=60)

    outcomes = models.JSONField(default=list)  # the tokens of the claims that were settled as done

    objects = SampleJobQuerySet.as_manager()

    class Meta:
        app_label = "jobs_tests"
        verbose_name = "sample"
        constraints = leased_job_constraints("sample_job")

    def __str__(self) -> str:
        return f"sample {self.pk}"
