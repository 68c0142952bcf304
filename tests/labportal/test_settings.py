"""A whole start under another environment: what settings make of it, and what stops it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOW = """
import json, sys
from labportal import settings
print(json.dumps({name: getattr(settings, name, None) for name in sys.argv[1:]}, default=str))
"""


def start(tmp_path: Path, *names: str, **environment: str) -> dict[str, Any] | str:
    """Return the settings of those names, or the words that the start ended with."""
    result = subprocess.run(
        [sys.executable, "-c", SHOW, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={
            "PATH": os.environ["PATH"],
            "LABPORTAL_HOME": str(tmp_path / "home"),
            "DATABASE_URL": "postgresql://u:p@db/lab",
            "SECRET_KEY": "s" * 50,
        }
        | environment,
    )
    if result.returncode:
        return result.stderr.strip().splitlines()[-1]
    return dict(json.loads(result.stdout))


def test_https_turns_on_what_protects_cookies(tmp_path: Path) -> None:
    found = start(
        tmp_path,
        "SESSION_COOKIE_SECURE",
        "CSRF_COOKIE_SECURE",
        "SECURE_SSL_REDIRECT",
        "SECURE_HSTS_SECONDS",
        "CSRF_TRUSTED_ORIGINS",
        "ALLOWED_HOSTS",
        LABPORTAL_URL="https://portal.example.org",
    )
    assert found == {
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "SECURE_SSL_REDIRECT": True,
        "SECURE_HSTS_SECONDS": 31_536_000,
        "CSRF_TRUSTED_ORIGINS": ["https://portal.example.org"],
        "ALLOWED_HOSTS": ["portal.example.org", "localhost", "127.0.0.1", "[::1]"],
    }


def test_the_laptop_makes_its_own_key_once(tmp_path: Path) -> None:
    first = start(tmp_path, "SECRET_KEY", SECRET_KEY="")
    assert first == start(tmp_path, "SECRET_KEY", SECRET_KEY="")
    file = tmp_path / "home" / "secret_key"
    assert isinstance(first, dict) and len(first["SECRET_KEY"]) >= 50
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"SECRET_KEY": "", "LABPORTAL_URL": "https://portal.example.org"}, "SECRET_KEY"),
        ({"DATABASE_URL": "mysql://h/x"}, "DATABASE_URL"),
        ({"DATABASE_URL": ""}, "DATABASE_URL"),
        ({"LABPORTAL_THREADS": "0"}, "LABPORTAL_THREADS"),
        ({"LABPORTAL_LEASE_S": "5"}, "LABPORTAL_LEASE_S"),
        ({"LABPORTAL_LOG": "xml"}, "LABPORTAL_LOG"),
        ({"EMAIL_URL": "gopher://h"}, "EMAIL_URL"),
        ({"EMAIL_URL": "smtp://h", "EMAIL_PROVIDER": "mailgun"}, "EMAIL_PROVIDER"),
        ({"DEBUG": "maybe"}, "DEBUG"),
    ],
)
def test_a_wrong_environment_stops_the_start(
    tmp_path: Path, environment: dict[str, str], name: str
) -> None:
    words = start(tmp_path, **environment)
    assert isinstance(words, str)
    assert name in words


def test_e_mail_goes_where_the_url_says(tmp_path: Path) -> None:
    found = start(
        tmp_path,
        "EMAIL_HOST",
        "EMAIL_PORT",
        "EMAIL_USE_TLS",
        "EMAIL_USE_SSL",
        "EMAIL_HOST_USER",
        "EMAIL_HOST_PASSWORD",
        EMAIL_URL="smtp+tls://me%40lab:p%2Fw@mail.example.org",
    )
    assert found == {
        "EMAIL_HOST": "mail.example.org",
        "EMAIL_PORT": 587,
        "EMAIL_USE_TLS": True,
        "EMAIL_USE_SSL": False,
        "EMAIL_HOST_USER": "me@lab",
        "EMAIL_HOST_PASSWORD": "p/w",
    }


def test_a_provider_gets_its_own_variables(tmp_path: Path) -> None:
    found = start(
        tmp_path, "EMAIL_BACKEND", "ANYMAIL", EMAIL_PROVIDER="mailgun", ANYMAIL_MAILGUN_API_KEY="k"
    )
    assert found == {
        "EMAIL_BACKEND": "anymail.backends.mailgun.EmailBackend",
        "ANYMAIL": {"MAILGUN_API_KEY": "k"},
    }


def test_a_socket_folder_in_the_database_url_becomes_the_host(tmp_path: Path) -> None:
    found = start(tmp_path, "DATABASES", DATABASE_URL="postgresql://u@:5432/lab?host=/run/Sockets")
    assert isinstance(found, dict)
    database = found["DATABASES"]["default"]
    assert (database["HOST"], database["NAME"], database["USER"]) == ("/run/Sockets", "lab", "u")
    assert (database["CONN_MAX_AGE"], database["CONN_HEALTH_CHECKS"]) == (60, True)
