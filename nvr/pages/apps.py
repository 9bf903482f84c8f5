from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "nvr.pages"
    label = "pages"
    verbose_name = "Pages"
