from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "nvr.audit"
    label = "audit"
    verbose_name = "Audit"
