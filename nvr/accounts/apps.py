from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "nvr.accounts"
    label = "accounts"
    verbose_name = "Access"

    def ready(self) -> None:
        from nvr.audit.models import register_actions

        register_actions("apikey", "api_key_issued", "api_key_updated", "api_key_revoked")
        register_actions(
            "user", "user_created", "user_updated", "user_deleted", "password_changed", "password_disabled"
        )
        register_actions("group", "group_created", "group_updated", "group_deleted")
