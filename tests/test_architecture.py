"""The architecture's rules hold for every file, and the reader of imports does see a broken one."""

from pathlib import Path

import pytest

from tests.architecture import complaints, docstring_lines, sources

ROOT = Path(__file__).resolve().parent.parent
MOST_LINES = 400
MOST_DOCSTRING_LINES = 5


def own_files() -> list[Path]:
    files = [*sources(ROOT), *sorted((ROOT / "tests").rglob("*.py")), ROOT / "manage.py"]
    return [file for file in files if "migrations" not in file.parts]


def test_every_import_follows_the_floors_of_the_house() -> None:
    found = [complaint for file in sources(ROOT) for complaint in complaints(file, ROOT)]
    assert found == []


def test_the_two_folders_of_the_agent_file_have_empty_parents() -> None:
    for name in ("calculations", "clusters"):
        assert (ROOT / name / "__init__.py").read_text() == ""


def test_a_file_is_one_subject() -> None:
    lengths = {file: file.read_text(encoding="utf-8").count("\n") for file in own_files()}
    assert [str(file) for file, lines in lengths.items() if lines > MOST_LINES] == []


def test_every_module_says_in_a_few_lines_what_it_owns() -> None:
    lines = {file: docstring_lines(file) for file in own_files()}
    wrong = [
        f"{file.relative_to(ROOT)}: {count}"
        for file, count in lines.items()
        if count is not None and not 1 <= count <= MOST_DOCSTRING_LINES
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("calculations/software/x.py", "import django"),
        ("calculations/software/x.py", "def f():\n    from django.db import models"),
        ("calculations/software/x.py", "import numpy"),
        ("calculations/software/x.py", "if TYPE_CHECKING:\n    from django.db import models"),
        ("calculations/software/siesta/x.py", "from calculations.models import Run"),
        ("calculations/software/siesta/x.py", "from ... import models"),
        ("calculations/services/x.py", "from clusters import leases"),
        ("calculations/x.py", "if True:\n    import mlmodels.states"),
        ("clusters/agent/x.py", "import requests"),
        ("clusters/agent/x.py", "from clusters.models import Cluster"),
        ("clusters/agent/x.py", "from labportal.common import clock"),
        ("clusters/node/x.py", "import redis"),
        ("clusters/node/x.py", "def f():\n    from django.conf import settings"),
        ("clusters/node/x.py", "from clusters.models import Cluster"),
        ("clusters/x.py", "from mlmodels import states"),
        ("clusters/x.py", "from calculations.tasks import follow_up"),
        ("clusters/x.py", "from calculations import views"),
        ("mlmodels/x.py", "from calculations.models import Run"),
        ("labportal/common/x.py", "from labportal.accounts.models import User"),
        ("labportal/common/x.py", "from labportal import schedule"),
        ("labportal/accounts/x.py", "from labportal.audit.services import record"),
        ("labportal/audit/x.py", "from labportal.notifications.services import notify"),
        ("labportal/realtime/x.py", "import calculations.models"),
        ("labportal/embedded/x.py", "from labportal.common import clock"),
        ("calculations/models/x.py", "from calculations.services import drafts"),
        ("calculations/services/x.py", "from calculations.api import views"),
        ("calculations/services/x.py", "from ..tasks import follow_up"),
        ("labportal/accounts/models.py", "from labportal.accounts import selectors"),
    ],
)
def test_a_forbidden_import_is_seen(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{code}\n")
    assert len(complaints(path, tmp_path)) == 1


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("calculations/software/x.py", "import json\nfrom . import base"),
        ("calculations/software/x.py", "def f():\n    import numpy"),
        ("calculations/software/x.py", "if TYPE_CHECKING:\n    import numpy"),
        ("clusters/agent/x.py", "from calculations.software.base import RunSpec"),
        ("clusters/node/x.py", "import celery\nfrom clusters.agent import client"),
        ("clusters/x.py", "from calculations.services import execution"),
        ("clusters/x.py", "from calculations import states"),
        ("mlmodels/x.py", "from clusters.models import Cluster"),
        ("labportal/notifications/x.py", "from labportal.realtime.events import publish"),
        ("labportal/urls.py", "from clusters import urls\nfrom labportal.common import health"),
        ("calculations/api/x.py", "from calculations.services import drafts"),
        ("calculations/services/x.py", "from calculations.models import Run"),
    ],
)
def test_an_allowed_import_is_left_alone(tmp_path: Path, file: str, code: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{code}\n")
    assert complaints(path, tmp_path) == []
