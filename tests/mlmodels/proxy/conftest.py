"""A proxy that asks no database but `books`, and one that asks the database as in production."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from django.test import RequestFactory
from yarl import URL

from labportal.accounts.models import User
from labportal.accounts.services import tokens
from mlmodels.models import ModelVersion, Replica
from mlmodels.predictions.keeping import Kept
from mlmodels.proxy.books import Books
from mlmodels.proxy.people import Person
from mlmodels.proxy.table import Route, Target, Version
from mlmodels.states import Desired, ModelState
from tests.mlmodels import factories
from tests.mlmodels.proxy.door import Door, Model, open_door

ALWAYS = float("inf")


class Copy(NamedTuple):
    about: Kept
    input: bytes
    output: bytes


class Shelf:
    """What the proxy knows and what it wrote, without a database."""

    def __init__(self) -> None:
        self.people = {"ada's": Person(1, True, ALWAYS), "max's": Person(2, True, ALWAYS)}
        self.routes: dict[str, Route] = {}
        self.rows: list[dict[str, Any]] = []
        self.failed: list[tuple[str, int, str]] = []
        self.answered: dict[str, float] = {}
        self.kept: list[Copy] = []
        self.trouble: Exception | None = None
        self.changed: Callable[[], Any] = lambda: None

    @property
    def books(self) -> Books:
        return Books(
            routes=lambda: dict(self.routes),
            by_token=self.people.get,
            by_session=lambda key: None,
            store=self.rows.extend,
            failed=lambda *news: self.failed.append(news),
            answered=self.answered.update,
            keep=self._keep,
            may_be_kept_with=lambda person, subject: subject == "structure:1",
        )

    def _keep(self, batch: Sequence[Kept]) -> None:
        if self.trouble is not None:
            raise self.trouble
        for kept in batch:
            kept.input.seek(0)
            kept.output.seek(0)
            self.kept.append(Copy(kept, kept.input.read(), kept.output.read()))

    def add(self, *addresses: str, number: int = 1, name: str = "echo", **changes: Any) -> None:
        """Have a version with replicas at these addresses answer first; `changes` of the route."""
        targets = tuple(
            Target(f"{number}-{i}", URL(f"http://{address}/invocations"), f"r{i} on metis")
            for i, address in enumerate(addresses)
        )
        accepts = changes.pop("accepts", ())
        version = Version(number, number, accepts, targets)
        before = self.routes.get(name) or Route(
            **{"id": 1, "name": name, "wanted": True, "state": "Ready", "why": ""},
            **{"timeout_s": 5.0, "max_body": 1 << 20, "max_in_flight": 64},
            **{"calls_per_minute": 6000, "stores_bodies": False, "order": ()},
        )
        self.routes[name] = replace(
            before,
            order=(number, *before.order),
            versions={**before.versions, number: version},
            **changes,
        )
        self.changed()


def token_of(user: User) -> str:
    return tokens.issue(user, request=RequestFactory().post("/")).access


@pytest.fixture(scope="module")
def house() -> Iterator[Door]:
    """The server, which takes longer to start than a test."""
    with open_door() as door:
        yield door


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def door(house: Door, shelf: Shelf) -> Iterator[Door]:
    """Ada's token is shown where a test says nothing else; it knows at once what is added."""
    house.token = "ada's"
    proxy = house.start(shelf.books)
    shelf.changed = lambda: house.run(proxy.table.renew())
    yield house
    house.forget()


@pytest.fixture
def model(door: Door, shelf: Shelf) -> Model:
    """The server of the model "echo"; a test that changes its limits adds it once more."""
    made = door.model()
    shelf.add(made.address)
    return made


@pytest.fixture
def real_door(house: Door, transactional_db: None, ada: Any) -> Iterator[Door]:
    house.token = token_of(ada)
    yield house
    house.forget()


@pytest.fixture
def echo(ada: Any, transactional_db: None) -> ModelVersion:
    """Version 1 of a model that is wanted, without a replica."""
    model = factories.registered(ada, "echo")
    version = factories.version(model, accepts=[])
    model.desired, model.state = Desired.RUNNING, ModelState.READY
    model.current = model.serving = version
    model.save()
    version.model = model
    return version


@pytest.fixture
def behind(echo: ModelVersion) -> Callable[[str], Replica]:
    """Have a replica of the model take calls at an address."""
    site = factories.cluster()
    return lambda address: factories.replica(echo, site, address=address)


@pytest.fixture
def real_model(real_door: Door, behind: Callable[[str], Replica]) -> Model:
    made = real_door.model()
    behind(made.address)
    return made
