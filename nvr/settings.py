"""All settings, each read once from the environment (and `.env`) through `nvr.env`; see docs/reference/settings.md."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import django_stubs_ext
from dotenv import load_dotenv

from nvr.data_folder import make_private
from nvr.database_url import database_from, share_connections
from nvr.default_hosts import LOOPBACK, is_loopback, own_hosts
from nvr.env import Environment
from nvr.private_files import set_private_umask
from nvr.secret_key import stored_key

django_stubs_ext.monkeypatch()
set_private_umask()

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")
env = Environment()

# Data layout
NVR_DATA_DIR = env.path("NVR_DATA_DIR", Path("data"), base=BASE_DIR)
NVR_CAMERA_ROOT = env.path("NVR_CAMERA_ROOT", NVR_DATA_DIR / "cameras", base=BASE_DIR)
CACHE_DIR = NVR_DATA_DIR / "cache"
THUMBNAIL_DIR = NVR_DATA_DIR / "thumbnails"
CLIP_DIR = NVR_DATA_DIR / "clips"
KEPT_DIR = NVR_DATA_DIR / "kept"
RUN_DIR = NVR_DATA_DIR / "run"
STATIC_ROOT = NVR_DATA_DIR / "static"
make_private(NVR_DATA_DIR, CACHE_DIR, RUN_DIR)

# Access
NVR_DEBUG = DEBUG = env.flag("NVR_DEBUG", False)
NVR_PUBLIC_URL = env.web_address("NVR_PUBLIC_URL")
public = urlsplit(NVR_PUBLIC_URL)
UP_ADDRESS = os.environ.get("NVR_UP_ADDRESS", "")  # where `manage.py up` listens; set for the processes that it starts
ON_UNIX_SOCKET = UP_ADDRESS.startswith("unix:")  # only the proxy can connect, so no address needs to be trusted
LOCAL_PROXIES = ["127.0.0.1", "::1"] if NVR_PUBLIC_URL and not ON_UNIX_SOCKET else []
NVR_TRUSTED_PROXIES = env.networks("NVR_TRUSTED_PROXIES", LOCAL_PROXIES)


def public_snapshots(address: str) -> bool:
    """Return whether snapshots are public while NVR listens on `address`; the default is only on loopback."""
    return env.flag("NVR_PUBLIC_SNAPSHOTS", is_loopback(address) and not NVR_PUBLIC_URL and not NVR_TRUSTED_PROXIES)


NVR_ALLOWED_HOSTS = env.words(
    "NVR_ALLOWED_HOSTS",
    pattern=r"\.?[\w-]+(\.[\w-]+)*\.?|\[[0-9a-fA-F:.]+\]",
    expected="a name or address that people type, such as nvr.lan or [fd00::1]",
)
ALLOWED_HOSTS = [
    *(NVR_ALLOWED_HOSTS or own_hosts()),
    *LOOPBACK,
    *([public.hostname] if public.hostname else []),
]
NVR_SECRET_KEY = env.secret_key("NVR_SECRET_KEY")
SECRET_KEY_FALLBACKS = NVR_SECRET_KEY_FALLBACKS = env.secret_keys("NVR_SECRET_KEY_FALLBACKS")
SECRET_KEY = NVR_SECRET_KEY or stored_key(NVR_DATA_DIR / "secret_key")
SALT_KEY = "nvr.fields"  # the encrypted fields' salt: the secret is SECRET_KEY
NVR_ADMIN_USERNAME = env.text(
    "NVR_ADMIN_USERNAME", "admin", pattern=r"[\w.@+-]{1,150}", expected="a name of letters, digits and @ . + - _ alone"
)
NVR_ADMIN_PASSWORD = env.secret("NVR_ADMIN_PASSWORD")

HTTPS = public.scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
# Unique cookie names: a browser sends cookies to all ports of a host, where other Django applications may run.
NVR_COOKIE_PREFIX = env.text(
    "NVR_COOKIE_PREFIX", "nvr", pattern=r"[A-Za-z0-9_-]{1,40}", expected="letters, digits, _ and -, at most 40"
)
SESSION_COOKIE_NAME = f"{NVR_COOKIE_PREFIX}_sessionid"
CSRF_COOKIE_NAME = f"{NVR_COOKIE_PREFIX}_csrftoken"
MESSAGE_STORAGE = "nvr.pages.message_storage.MessageStorage"
SESSION_COOKIE_AGE = 14 * 86400
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if NVR_TRUSTED_PROXIES or ON_UNIX_SOCKET else None
CSRF_TRUSTED_ORIGINS = [f"{public.scheme}://{public.netloc}"] if NVR_PUBLIC_URL else []
CSRF_FAILURE_VIEW = "nvr.error_handlers.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
# The proxy that terminates TLS also redirects; a redirect here would loop behind a proxy that is not trusted.
# NVR cannot promise https for other hosts of its domain (W005, W021).
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W008", "security.W021"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 20

INSTALLED_APPS = [
    "nvr.pages.admin_site.NvrAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "nvr",
    "nvr.audit",
    "nvr.accounts",
    "nvr.jobs",
    "nvr.health",
    "nvr.pages",
    "nvr.api",
    "cameras",
    "media_serving",
    "reviewer",
]
MIDDLEWARE = [
    "nvr.request_context.OriginMiddleware",
    "nvr.pages.security.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "nvr.request_body.RequestBodyMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "nvr.pages.access.LoginRequiredMiddleware",
    "nvr.pages.messages.PageMessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "nvr.error_handlers.DomainErrorMiddleware",
]
ROOT_URLCONF = "nvr.urls"
WSGI_APPLICATION = "nvr.wsgi.application"
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "nvr.pages.context.disk",
            ],
        },
    },
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "nvr.formats"
NVR_TIME_ZONE = env.time_zone("NVR_TIME_ZONE", "UTC")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Database
DATABASE_URL = env.secret("DATABASE_URL", f"sqlite:///{NVR_DATA_DIR / 'nvr.sqlite3'}")
DATABASES: dict[str, dict[str, Any]] = {"default": database_from(DATABASE_URL)}
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 10,
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000; PRAGMA temp_store=MEMORY;"
    ),
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"] |= {"ENGINE": "nvr.sqlite3", "OPTIONS": SQLITE_OPTIONS}
    DATABASES["default"] |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True}
else:
    DATABASES["default"] |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    DATABASES["default"]["OPTIONS"] = {"connect_timeout": 3, **DATABASES["default"].get("OPTIONS", {})}
if os.environ.get("NVR_PROCESS") == "web":
    share_connections(DATABASES["default"])

# Cache; `process` belongs to the rate limits: reserved numbers, and counters while `default` does not respond
REDIS_URL = env.server("REDIS_URL", schemes={"redis", "rediss", "unix"}, example="redis://redis.lan:6379/0")
DISK_CACHE = {
    "BACKEND": "nvr.disk_cache.DiskCache",
    "LOCATION": str(CACHE_DIR / "shared"),
    "DATABASE_TIMEOUT": 2,
    "SHARDS": 4,
    "OPTIONS": {"size_limit": 256 * 2**20, "disk_min_file_size": 2**20, "eviction_policy": "least-recently-stored"},
}
REDIS_CACHE = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": REDIS_URL,
    "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 1},
    "KEY_PREFIX": "nvr",
}
CACHES = {
    "default": REDIS_CACHE if REDIS_URL else DISK_CACHE,
    "limits": {"BACKEND": "nvr.api.counters.CounterCache"},
    "process": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "process",
        "OPTIONS": {"MAX_ENTRIES": 4096},
    },
}

# Queue
BROKER_DIR = RUN_DIR / "broker"
CELERY_BROKER_URL = env.server(
    "CELERY_BROKER_URL",
    "filesystem://localhost//",
    schemes={"filesystem", "amqp", "amqps", "pyamqp", "redis", "rediss", "redis+socket"},
    example="amqp://nvr:password@rabbit.lan//",
)

# Media
NVR_ACCEL_REDIRECT = env.roots("NVR_ACCEL_REDIRECT", base=BASE_DIR)
NVR_PUBLIC_SNAPSHOTS = public_snapshots(UP_ADDRESS)
NVR_MAX_IMAGE_PIXELS = env.integer("NVR_MAX_IMAGE_PIXELS", 100_000_000, minimum=1_000_000, maximum=1_000_000_000)
NVR_TRANSCODE_CACHE_MB = env.integer("NVR_TRANSCODE_CACHE_MB", 5_000, maximum=100_000_000)
NVR_TRANSCODE_TIME_LIMIT = env.duration("NVR_TRANSCODE_TIME_LIMIT", timedelta(minutes=30), minimum="1s", maximum="1d")
NVR_CLIP_PADDING = env.duration("NVR_CLIP_PADDING", timedelta(seconds=5), maximum="5m")
NVR_CLIP_TIME_LIMIT = env.duration("NVR_CLIP_TIME_LIMIT", timedelta(minutes=10), minimum="1s", maximum="1d")
NVR_WEB_WORKERS = env.integer("NVR_WEB_WORKERS", 2, minimum=1, maximum=64)
NVR_WEB_THREADS = env.integer("NVR_WEB_THREADS", 16, minimum=2, maximum=256)
NVR_CONNECTIONS_PER_ADDRESS = env.integer("NVR_CONNECTIONS_PER_ADDRESS", 100, minimum=10, maximum=100_000)
NVR_SOCKET_TIMEOUT = env.duration("NVR_SOCKET_TIMEOUT", timedelta(seconds=30), minimum="1s", maximum="1h")

# Cameras
LIBRARIES = ["/lib", "/lib32", "/lib64", "/libx32"]
SYSTEM = ["/proc", "/sys", "/dev", "/run", "/snap", "/boot", "/etc", "/usr", "/bin", "/sbin", *LIBRARIES]
NVR_REVIEW_HIDDEN_PATHS = env.folders("NVR_REVIEW_HIDDEN_PATHS", [*SYSTEM, "/root/.ssh", "~/.ssh"])
NVR_REVIEW_ROOTS = env.folders("NVR_REVIEW_ROOTS", ["/media", "/mnt", "/srv", "/run/media"], first=NVR_CAMERA_ROOT)
NVR_REVIEW_CACHE_MB = env.integer("NVR_REVIEW_CACHE_MB", 2_000, maximum=100_000_000)
NVR_DELETION_WORKERS = env.integer("NVR_DELETION_WORKERS", 2, minimum=1, maximum=32)
NVR_REVIEW_PROBE_WAIT = env.duration("NVR_REVIEW_PROBE_WAIT", timedelta(seconds=1), maximum="30s")
NVR_LIST_CACHE_TIME = env.duration("NVR_LIST_CACHE_TIME", timedelta(minutes=5), maximum="1d")
NVR_OFFLINE_AFTER = env.duration("NVR_OFFLINE_AFTER", timedelta(hours=24), minimum="1s", maximum="365d")
NVR_STREAM_OFFLINE_AFTER = env.duration("NVR_STREAM_OFFLINE_AFTER", timedelta(seconds=60), minimum="1s", maximum="365d")
NVR_HEALTH_INTERVAL = env.duration("NVR_HEALTH_INTERVAL", timedelta(seconds=15), minimum="1s", maximum="1h")
NVR_TRASH_RETENTION = env.duration("NVR_TRASH_RETENTION", timedelta(days=30), minimum="1s")
NVR_STALE_AFTER = env.duration("NVR_STALE_AFTER", timedelta(minutes=10), minimum="1s", maximum="365d")
NVR_UPLOAD_STABLE_TIME = env.duration("NVR_UPLOAD_STABLE_TIME", timedelta(seconds=2), minimum="1s", maximum="10m")
NVR_INGEST_SCAN_INTERVAL = env.duration("NVR_INGEST_SCAN_INTERVAL", timedelta(seconds=30), minimum="1s", maximum="1h")
NVR_INGEST_POLLING = env.flag("NVR_INGEST_POLLING", False)
NVR_INCOMPLETE_UPLOAD_TIMEOUT = env.duration(
    "NVR_INCOMPLETE_UPLOAD_TIMEOUT", timedelta(hours=6), minimum="1s", maximum="30d"
)
NVR_INGEST_END_WAIT = env.duration("NVR_INGEST_END_WAIT", timedelta(seconds=20), maximum="1h")
NVR_INGEST_LARGE_FILES = env.integer("NVR_INGEST_LARGE_FILES", 1, minimum=1, maximum=64)
NVR_KEPT_MB = env.integer("NVR_KEPT_MB", 10_000, maximum=100_000_000)
NVR_KEPT_MAX_AGE = env.duration("NVR_KEPT_MAX_AGE", timedelta(days=30), minimum="1h", maximum="3650d")
NVR_KEPT_FREE_MB = env.integer("NVR_KEPT_FREE_MB", 1_000, maximum=100_000_000)
NVR_EVENT_GAP = env.duration("NVR_EVENT_GAP", timedelta(seconds=30), minimum="1s", maximum="1h")
NVR_EVENT_MAX_LENGTH = env.duration("NVR_EVENT_MAX_LENGTH", timedelta(seconds=90), minimum="1s", maximum="1h")

# Rate limits: `user` per user, `anonymous` per address
RATES = {
    tier: {
        "user": env.rate(f"NVR_RATE_{tier.upper()}", user),
        "anonymous": env.rate(f"NVR_RATE_{tier.upper()}_ANONYMOUS", anonymous),
    }
    for tier, user, anonymous in (
        ("default", "6000/m", "60/m"),
        ("media", "6000/m", "30/m"),
        ("search", "600/m", "30/m"),
        ("export", "60/m", "10/m"),
        ("upload", "600/m", "10/m"),
        ("login", "10/m", "10/m"),
    )
}
RATELIMIT_USE_CACHE = "limits"

# API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "nvr.api.authentication.ApiKeyAuthentication",
        "nvr.api.authentication.TokenAuthentication",
        "nvr.api.authentication.BrowserSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["nvr.api.json.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["nvr.api.json.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "nvr.api.versioning.Negotiation",
    "DEFAULT_VERSIONING_CLASS": "nvr.api.versioning.AcceptVersion",
    "DEFAULT_VERSION": "2",
    "ALLOWED_VERSIONS": ["1", "2"],
    "EXCEPTION_HANDLER": "nvr.api.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "nvr.api.schema.Schema",
    "DEFAULT_METADATA_CLASS": None,  # /api/schema describes more than OPTIONS would
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
NVR_ACCESS_TOKEN_LIFETIME = env.duration("NVR_ACCESS_TOKEN_LIFETIME", timedelta(minutes=15), minimum="1s", maximum="1d")
NVR_REFRESH_TOKEN_LIFETIME = env.duration("NVR_REFRESH_TOKEN_LIFETIME", timedelta(days=7), minimum="1s", maximum="365d")
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": NVR_ACCESS_TOKEN_LIFETIME,
    "REFRESH_TOKEN_LIFETIME": NVR_REFRESH_TOKEN_LIFETIME,
    "CHECK_REVOKE_TOKEN": True,  # changing the password invalidates all tokens
    "UPDATE_LAST_LOGIN": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "NVR",
    "DESCRIPTION": "Cameras, their media, detections and events.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PUBLIC": True,
    "SCHEMA_PATH_PREFIX": "/api/",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": False,
    "ENUM_NAME_OVERRIDES": {
        "CameraStatus": "cameras.models.CameraStatus.choices",
        "CameraStatusV1": ["online", "offline", "error"],
        "OverallHealth": ["ok", "degraded"],
        "SectionHealth": ["ok", "degraded", "failed"],
    },
    "PREPROCESSING_HOOKS": ["nvr.api.schema.only_documented"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "nvr.api.schema.finish"],
}

# Static files
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "nvr.pages.static_files.FallbackManifestStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
FILE_UPLOAD_PERMISSIONS = 0o600  # also for collected files, which everybody could read by default
WHITENOISE_ROOT = BASE_DIR / "static" / "root"  # /favicon.ico, which browsers request by default

# Logs
NVR_LOG_LEVEL = env.choice("NVR_LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
NVR_LOG_REQUESTS = env.flag("NVR_LOG_REQUESTS", False)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "nvr.logs.LineFormatter"}},
    "filters": {"faults": {"()": "nvr.logs.ClientFaults"}, "lasting": {"()": "nvr.logs.LastingFaults"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["faults", "lasting"]}},
    "root": {"handlers": ["console"], "level": NVR_LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        "watchfiles": {"level": "WARNING"},
    },
}
