from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "nvr.accounts"
    label = "accounts"
    verbose_name = "Access"
