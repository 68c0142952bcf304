"""What every test may use: the personas, a clean Redis, answers to what this machine has."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as examples
from pytest_django.plugin import blocking_manager_key

from bench import migrated
from labportal.common.wake import redis_client
from tests import servers

#: The program that each marker needs; without it the test is skipped with the reason.
PROGRAMS = {
    "gpu": ("nvidia-smi",),
    "rabbitmq": ("rabbitmqctl", "epmd"),
    "slurm": ("sbatch", "squeue"),
    "containers": ("podman",),
    "espresso": ("pw.x",),
    "ssh": ("ssh", "sftp", "/usr/sbin/sshd"),
    "browser": ("chromium",),
}


# How quickly examples are made and run tells of the machine alone, which several tests share.
examples.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("shared")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two for each core: tests mostly wait for servers, agents and browsers."""
    return min(2 * len(os.sched_getaffinity(0)), 8)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = {
        marker: ", ".join(program for program in programs if shutil.which(program) is None)
        for marker, programs in PROGRAMS.items()
    }
    for item in items:
        for marker, names in absent.items():
            if names and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=f"{names} is not installed"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """A test with transactions empties the database; what migrations put there comes back.

    After the last test of a process the database itself is gone.
    """
    from tests.factories import default_project

    yield
    marker = item.get_closest_marker("django_db")
    emptied = marker is not None and marker.kwargs.get("transaction")
    emptied = emptied or "transactional_db" in getattr(item, "fixturenames", ())
    if emptied and nextitem is not None:
        with item.config.stash[blocking_manager_key].unblock():
            default_project()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """The database of the tests is a copy of one that is migrated."""
    migrated.fill(servers.home, os.environ)
    connection.settings_dict["TEST"]["TEMPLATE"] = connection.settings_dict["NAME"]


@pytest.fixture(autouse=True)
def _nothing_left_over() -> Iterator[None]:
    """Start each test with empty caches and an empty Redis."""
    cache.clear()
    yield
    redis_client().flushall()


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def files_dir(tmp_path: Any, settings: Any) -> Iterator[Any]:
    """Give each test its own empty file store."""
    from labportal.common.storage import storage

    settings.FILES_DIR = tmp_path / "files"
    storage.cache_clear()
    yield settings.FILES_DIR
    storage.cache_clear()


@pytest.fixture
def ada(db: None) -> Any:
    """A user: a scientist of the lab."""
    from tests.factories import UserFactory

    return UserFactory(username="ada", role="user")


@pytest.fixture
def max(db: None) -> Any:
    """A moderator, who reviews."""
    from tests.factories import UserFactory

    return UserFactory(username="max", role="moderator")


@pytest.fixture
def root(db: None) -> Any:
    """An admin."""
    from tests.factories import UserFactory

    return UserFactory(username="root", role="admin")


@pytest.fixture
def eve(db: None) -> Any:
    """An outsider: signed in, but a member of no private project."""
    from tests.factories import UserFactory

    return UserFactory(username="eve", role="user")


@pytest.fixture
def mailbox() -> list[Any]:
    from django.core import mail

    return mail.outbox


def pytest_report_header() -> str:
    return f"database: {django_settings.DATABASES['default']['HOST']}"
