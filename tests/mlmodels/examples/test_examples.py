"""Each example is whole: its description is valid, its example is answered as described, and it
keeps the contract, as a process and unchanged in a container.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from clusters.agent.contract import TITLES, Subject, run_contract
from clusters.agent.contract_command import started
from mlmodels.examples import __main__ as command
from mlmodels.examples.bundle import EXAMPLES, HERE, bundle, describe
from mlmodels.models import ModelVersion
from mlmodels.models.registered import MODEL_NAME
from tests.containers import CONTAINERS, Containers
from tests.mlmodels.examples.bundles import BREAKS, bad_echo
from tests.mlmodels.examples.containers import OWN_PACKAGES, THEIR_PACKAGES, build, libraries, run
from tests.mlmodels.examples.running import PROCESS, running, terms_of


def outcome(name: str, subject: Subject) -> dict[str, bool | None]:
    return {check["name"]: check["ok"] for check in run_contract(subject, terms_of(name))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_examples_description_can_be_registered(name: str) -> None:
    described = describe(name)
    assert re.fullmatch(MODEL_NAME, described["name"])
    for schema in (described["input_schema"], described["output_schema"]):
        jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(described["example"]), described["input_schema"])
    fields = {field.name for field in ModelVersion._meta.get_fields()}
    assert described.keys() - fields == {"name", "description"}
    assert described["accepts"][0] == "application/json"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_examples_folder_holds_all_that_it_needs(name: str, tmp_path: Path) -> None:
    folder = bundle(name, tmp_path / "bundle")
    for file in ("Containerfile", "README.md", "model.json", "program.py", "serving/server.py"):
        assert (folder / file).is_file()
    assert not list(folder.rglob("__pycache__"))
    again = bundle(name, folder)  # over what is there
    assert again == folder


def test_the_command_writes_an_examples_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["examples", "echo", str(tmp_path / "mine")])
    command.main()
    assert (tmp_path / "mine" / "program.py").is_file()
    assert str(tmp_path / "mine") in capsys.readouterr().out


def test_the_network_of_the_redshift_example_is_the_one_definition(tmp_path: Path) -> None:
    folder = bundle("redshift", tmp_path / "bundle")
    source = HERE.parents[1] / "calculations/software/torch_inference/networks/redshift.py"
    assert (folder / "network.py").read_bytes() == source.read_bytes()


def test_the_echo_keeps_the_contract_as_a_process(tmp_path: Path) -> None:
    """The other two are held against it where they run anyhow."""
    with started(PROCESS, folder=bundle("echo", tmp_path / "echo")) as subject:
        assert outcome("echo", subject) == dict.fromkeys(TITLES, True)


class TestInContainers:
    """The folders as they are, built by their own Containerfiles on a base that is made here."""

    pytestmark = [*CONTAINERS]

    @pytest.mark.parametrize("name", ["echo", "gait"])
    def test_an_example_keeps_the_contract_in_a_container(
        self, name: str, containers: Containers, tmp_path: Path
    ) -> None:
        image = build(name, bundle(name, tmp_path / name), containers)
        with started(run(image)) as subject:
            assert outcome(name, subject) == dict.fromkeys(TITLES, True)

    def test_torch_works_in_a_container_that_finds_it_mounted(
        self, containers: Containers, tmp_path: Path
    ) -> None:
        """Three quarters of a GiB need not be copied into an image whenever tests run."""
        pytest.importorskip("torch", reason="torch is not installed: pip install -e .[ml]")
        folder = bundle("redshift", tmp_path / "redshift")
        image = containers.build(
            "localhost/redshift:1", folder, BASE=containers.python(), INSTALL="true"
        )
        own = [f"--volume={path}:{path}:ro" for path in libraries(OWN_PACKAGES / "torch" / "lib")]
        with running(
            run(
                image,
                "--env=OMP_NUM_THREADS=1",
                f"--volume={OWN_PACKAGES}:{THEIR_PACKAGES}:ro",
                *own,
            )
        ) as server:
            document = server.answer(describe("redshift")["example"].encode())
            jsonschema.validate(document, describe("redshift")["output_schema"])
            assert outcome("redshift", server.subject) == dict.fromkeys(TITLES, True)

    @pytest.mark.parametrize("rule", ["serve", "unsupported", "sigterm"])
    def test_a_container_that_breaks_a_rule_fails_its_check(
        self, rule: str, containers: Containers, tmp_path: Path
    ) -> None:
        folder = bad_echo(tmp_path / "bad")
        file = folder / "Containerfile"
        file.write_text(file.read_text().replace("program.py", "bad_program.py"))
        image = containers.build("localhost/bad:1", folder, BASE=containers.python())
        terms = terms_of("echo")
        if rule == "sigterm":
            terms = replace(terms, stop_s=1)
        with started(run(image, f"--env={BREAKS}={rule}")) as subject:
            checks = run_contract(subject, terms)
        assert [check["name"] for check in checks if check["ok"] is False] == [rule]
