"""The web server's entry point."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nvr.settings")
os.environ.setdefault("NVR_PROCESS", "web")

from django.core.wsgi import get_wsgi_application

from nvr.start import require_settings

require_settings(status=3)  # gunicorn's status for a worker that cannot start: it exits instead of restarting workers
application = get_wsgi_application()
