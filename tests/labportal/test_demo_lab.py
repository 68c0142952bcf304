"""The demo's lab: what its library of structures begins with, and which models it serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from calculations.models import Structure
from clusters.agent import config
from labportal.demo import lab
from labportal.demo.structures import STRUCTURES
from mlmodels.models import RegisteredModel
from mlmodels.services import models

pytestmark = pytest.mark.django_db


def test_the_library_is_filled_once_and_what_was_deleted_stays_away(tmp_path: Path) -> None:
    lab.prepare(tmp_path, "http://localhost:8000")
    made = Structure.objects.all()
    assert {s.name for s in made} == {s.name for s in STRUCTURES}
    assert {s.created_by.username for s in made} == {"ada"}
    made.filter(name="Water").delete()
    lab.prepare(tmp_path, "http://localhost:8000")
    assert Structure.objects.count() == len(STRUCTURES) - 1


def test_two_models_run_from_the_start_and_one_that_was_deleted_stays_away(
    tmp_path: Path,
) -> None:
    lab.prepare(tmp_path, "http://localhost:8000")
    made = {model.name: model for model in RegisteredModel.objects.all()}
    assert {model.desired for model in made.values()} == {"running"}
    assert made.keys() == {"gait", "echo"}
    for name, model in made.items():
        version = model.current
        assert version.approved_by.username == "max"
        assert (tmp_path / "models" / name / version.command[1]).is_file()
        assert version.folder == str(tmp_path / "models" / name)
    models.remove(made["echo"], actor=made["echo"].created_by)
    lab.prepare(tmp_path, "http://localhost:8000")
    assert RegisteredModel.objects.filter(deleted_at=None).get() == made["gait"]


def test_the_agent_serves_the_demos_folder_alone_and_keeps_its_cores_for_runs(
    tmp_path: Path,
) -> None:
    lab.prepare(tmp_path, "http://localhost:8000")
    settings = config.load(tmp_path / "agent.ini")
    assert settings.serving.runtimes == ("process",)
    assert settings.serving.folders == (tmp_path / "models",)
    assert settings.cores == config.available_cores() + 2
    assert not (tmp_path / "models" / "gait" / "requirements.txt").exists()
