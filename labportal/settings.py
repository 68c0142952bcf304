"""Django's settings: the one place that reads the environment, through env.py. Nothing else may.

Servers come from DATABASE_URL and REDIS_URL; where these are not set, from what labportal.embedded
started for this checkout. A wrong value stops the start and names its variable.
"""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url
from csp.constants import NONE, SELF, UNSAFE_INLINE

from labportal import env
from labportal.common import logs

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = "0.1.0"
HOME = env.path("LABPORTAL_HOME", BASE_DIR / ".labportal")
PUBLIC_URL = env.url("LABPORTAL_URL", "http://localhost:8000", schemes=("http", "https")).rstrip(
    "/"
)
HTTPS = PUBLIC_URL.startswith("https://")
PUBLIC_HOST = urlsplit(PUBLIC_URL).hostname or "localhost"


def _embedded(name: str) -> str:
    """Return what labportal.embedded wrote about its running servers, or an empty text."""
    try:
        lines = (HOME / "servers.env").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return dict(line.split("=", 1) for line in lines if "=" in line).get(name, "")


def _own_secret_key() -> str:
    """Return this laptop's key, made at the first start; processes that start at once agree."""
    file = HOME / "secret_key"
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        draft = HOME / f"secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64), encoding="utf-8")
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
    return file.read_text(encoding="utf-8")


# The core
DEBUG = env.boolean("DEBUG")
SECRET_KEY = env.secret("SECRET_KEY", "")
if not SECRET_KEY:
    if HTTPS:
        raise env.WrongValue("SECRET_KEY", "must be set where LABPORTAL_URL is https")
    SECRET_KEY = _own_secret_key()
SECRET_KEY_FALLBACKS = [key for key in [env.secret("SECRET_KEY_OLD", "")] if key]
ALLOWED_HOSTS = env.listing("ALLOWED_HOSTS", [PUBLIC_HOST, "localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL] if HTTPS else []
CSRF_FAILURE_VIEW = "labportal.common.middleware.csrf_failure"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "channels",
    "labportal.common.apps.CommonConfig",
    "labportal.accounts.apps.AccountsConfig",
    "labportal.audit.apps.AuditConfig",
    "labportal.realtime.apps.RealtimeConfig",
    "labportal.notifications.apps.NotificationsConfig",
    "calculations.apps.CalculationsConfig",
    "clusters.apps.ClustersConfig",
    "mlmodels.apps.MlmodelsConfig",
    "labportal.apps.PortalConfig",
]
MIDDLEWARE = [
    "labportal.common.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "labportal.accounts.middleware.PresenceMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "labportal.common.middleware.TimeZoneMiddleware",
    "labportal.common.middleware.DomainErrorMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "labportal.urls"
WSGI_APPLICATION = "labportal.wsgi.application"
ASGI_APPLICATION = "labportal.asgi.application"
THREADS = env.integer("LABPORTAL_THREADS", 8, least=1, most=256)
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
                "labportal.common.context.frame",
            ],
            "builtins": ["labportal.common.templatetags.labportal"],
        },
    }
]
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# How long a cluster keeps its runs without being heard; the exchange's other times follow from it
LEASE_S = env.integer("LABPORTAL_LEASE_S", 300, least=10, most=86_400)

# PostgreSQL and Redis
DATABASE_URL = env.url(
    "DATABASE_URL", _embedded("DATABASE_URL"), schemes=("postgres", "postgresql")
)
if not DATABASE_URL:
    raise env.WrongValue(
        "DATABASE_URL",
        "must name a PostgreSQL server (python -m labportal.embedded start brings one)",
    )
DATABASES = {
    "default": dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)
}
_options = DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["HOST"] = _options.pop("host", "") or DATABASES["default"]["HOST"]
_options.setdefault("connect_timeout", 5)
_options.setdefault("application_name", "labportal")
REDIS_URL = env.url(
    "REDIS_URL",
    _embedded("REDIS_URL") or "redis://localhost:6379/0",
    schemes=("redis", "rediss", "unix"),
)
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": REDIS_URL,
                    "socket_connect_timeout": 1,
                    "socket_timeout": 1,
                    "health_check_interval": 15,
                }
            ],
            "prefix": "labportal",
        },
    }
}

# Celery; how its application behaves stands in celery.py
CELERY_BROKER_URL = env.url("CELERY_BROKER_URL", REDIS_URL)
# Where nodes of the lab reach the broker, by a user of their own if there is one
NODE_BROKER_URL = env.url(
    "LABPORTAL_NODE_BROKER_URL", "", schemes=("redis", "rediss", "amqp", "amqps")
)
CELERY_TASK_DEFAULT_QUEUE = "labportal"
CARRIERS_QUEUE = "carriers"  # these may wait minutes for a site: a worker of their own takes them
# What nodes of the lab ask is answered in milliseconds: both workers take it.
EXCHANGE_QUEUE = "exchange"
# Wakes the event loop beside the threads of that worker, in which calls that take long are made.
INFERENCE_QUEUE = "inference"
CELERY_TASK_ROUTES = {
    "clusters.transports.queue.answer_node": {"queue": EXCHANGE_QUEUE},
    "clusters.transports.*": {"queue": CARRIERS_QUEUE},
    "mlmodels.tasks.run_async_calls": {"queue": INFERENCE_QUEUE},
}

# People
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    f"django.contrib.auth.hashers.{name}PasswordHasher" for name in ("PBKDF2", "Scrypt")
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 10}
LOGIN_URL = "/sign-in/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/sign-in/"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 14 * 24 * 3600
AXES_ENABLED = env.boolean("LABPORTAL_LOCK_OUT", default=True)
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_DISABLE_ACCESS_LOG = True
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=10),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=7),
    "UPDATE_LAST_LOGIN": False,
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
}

# The HTTP interface
API_URL = "/api/v1/"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "labportal.accounts.authentication.TokenAuthentication",
        "labportal.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["labportal.accounts.authentication.IsActiveUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "rest_framework.parsers.JSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_PAGINATION_CLASS": "labportal.common.pagination.KeysetPagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "labportal.common.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": [],
    "EXCEPTION_HANDLER": "labportal.common.problems.exception_handler",
    "DEFAULT_VERSIONING_CLASS": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Labportal",
    "DESCRIPTION": "Run numerical calculations and models on every cluster the group may use.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "labportal.accounts.roles.Role",
        "ProjectRoleEnum": "labportal.accounts.models.ProjectRole",
        "CalculationStateEnum": "calculations.states.CalculationState",
        "RunStateEnum": "calculations.states.RunState",
        "AnnouncementLevelEnum": "labportal.notifications.models.Announcement.Level",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "mlmodels.api.native.describe",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
DATA_UPLOAD_MAX_NUMBER_FILES = 20
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600

# Files of the browser
STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", BASE_DIR / "staticfiles")
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "labportal.common.vendor.VendorFinder",
]
STATIC_MANIFEST = env.boolean("LABPORTAL_STATIC_MANIFEST", default=not DEBUG)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "labportal.common.vendor.ManifestStorage"
        if STATIC_MANIFEST
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not STATIC_MANIFEST
WHITENOISE_AUTOREFRESH = not STATIC_MANIFEST

# Files of calculations
FILES_DIR = env.path("LABPORTAL_FILES", HOME / "files")
S3_BUCKET = env.string("S3_BUCKET", "")
S3_ENDPOINT_URL = env.url("S3_ENDPOINT_URL", "", schemes=("http", "https"))
S3_REGION = env.string("S3_REGION", "us-east-1")
S3_ACCESS_KEY_ID = env.secret("S3_ACCESS_KEY_ID", "")
S3_SECRET_ACCESS_KEY = env.secret("S3_SECRET_ACCESS_KEY", "")
S3_PREFIX = env.string("S3_PREFIX", "")
# Files of models: how large they may be, and the buckets besides ours that they may be taken from
MODEL_FILES_MIB = env.integer("MODEL_FILES_MIB", 4096, least=1)
MODEL_BUCKETS = env.listing("MODEL_BUCKETS", [])

# E-mail: an SMTP server (EMAIL_URL) or a provider (EMAIL_PROVIDER, ANYMAIL_...), else a folder
DEFAULT_FROM_EMAIL = env.string("EMAIL_FROM", f"Labportal <labportal@{PUBLIC_HOST}>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_TIMEOUT = 10
EMAIL_SUBJECT_PREFIX = "[Labportal] "
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = HOME / "mail"
_mail = env.url("EMAIL_URL", "", schemes=("smtp", "smtp+tls", "smtps", "console", "file"))
_provider = env.string("EMAIL_PROVIDER", "")
if _mail and _provider:
    raise env.WrongValue("EMAIL_PROVIDER", "must not be set together with EMAIL_URL")
if _mail.startswith("smtp"):
    _parts = urlsplit(_mail)
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = _parts.hostname or "localhost"
    EMAIL_USE_SSL = _parts.scheme == "smtps"
    EMAIL_USE_TLS = _parts.scheme == "smtp+tls"
    EMAIL_PORT = _parts.port or {"smtps": 465, "smtp+tls": 587}.get(_parts.scheme, 25)
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = env.credentials(_parts)
elif _mail.startswith("console"):
    EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
elif _mail.startswith("file"):
    EMAIL_FILE_PATH = Path(urlsplit(_mail).path)
elif _provider:
    EMAIL_BACKEND = f"anymail.backends.{_provider}.EmailBackend"
    ANYMAIL = env.prefixed("ANYMAIL_")

# What browsers are told
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        # Plotly and uPlot set style attributes; no script may be inline.
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:", "blob:"],
        "font-src": [SELF, "data:"],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz|metrics)$"]
SECURE_HSTS_SECONDS = env.integer("HSTS_SECONDS", 31_536_000 if HTTPS else 0, least=0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = False
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# What operators see
METRICS_TOKEN = env.secret("METRICS_TOKEN", "")
LOG_FORMAT = env.string("LABPORTAL_LOG", "json")
if LOG_FORMAT not in {"json", "text"}:
    raise env.WrongValue("LABPORTAL_LOG", "must be json or text")
LOG_LEVEL = env.string("LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
    raise env.WrongValue("LOG_LEVEL", "must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
LOGGING = logs.configuration(LOG_FORMAT, LOG_LEVEL)
