"""The web server's entry point."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nvr.settings")
os.environ.setdefault("NVR_PROCESS", "web")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
