"""Files whose removal is pending."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Tombstone(models.Model):
    """A file whose own row is deleted but that still has to be removed; deleted with the file."""

    path = models.CharField(max_length=4096)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    attempts = models.PositiveIntegerField(default=0)

    objects: models.Manager[Tombstone]

    class Meta:
        ordering = ("pk",)
        constraints = (models.CheckConstraint(condition=Q(path__startswith="/"), name="tombstone_path_is_absolute"),)

    def __str__(self) -> str:
        return self.path
