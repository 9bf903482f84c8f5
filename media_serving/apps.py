from django.apps import AppConfig


class MediaServingConfig(AppConfig):
    name = "media_serving"
    verbose_name = "Detections and events"

    def ready(self) -> None:
        from media_serving import hooks

        hooks.connect()
