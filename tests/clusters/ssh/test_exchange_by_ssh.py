"""Exchanges through a real SSH server: runs, files, and everything that breaks on the way."""

from __future__ import annotations

import hashlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import connections

from calculations.models import Calculation, OutputFile, Quantity, Run
from calculations.services import drafts, submission
from calculations.services.results import file_key
from calculations.states import TERMINAL_RUNS
from clusters import placement
from clusters.models import SshAccess, SshSession
from clusters.services import ssh
from clusters.transports.ssh import budget, serving, visits
from clusters.transports.ssh.connection import Connection, Site
from labportal.common.clock import now
from labportal.common.storage import storage
from tests.calculations.factories import draft, submitted
from tests.clusters.ssh.sshd import Sshd

LongVisit = Callable[[SshAccess], AbstractContextManager[None]]

pytestmark = [pytest.mark.ssh, pytest.mark.django_db(transaction=True)]


def run_of(ada: Any, **wishes: Any) -> Run:
    calculation = submitted(ada, **wishes)
    placement.place()
    return calculation.runs.get()


def test_the_agent_is_put_there_and_heard(heard: SshAccess, work: Path) -> None:
    heard.cluster.refresh_from_db()
    assert heard.cluster.offers("courier")
    assert heard.cluster.slots_total == 2
    assert (work / "labportal-agent.pyz").stat().st_mode & 0o077 == 0
    session = SshSession.objects.get()
    assert (session.exchanges >= 1, session.code) == (True, "")


def test_a_run_is_executed_and_closed_within_one_visit(
    ada: Any, heard: SshAccess, long_visit: LongVisit
) -> None:
    run = run_of(ada)
    with long_visit(heard):
        until(lambda: state_of(run) == "valid")
    assert SshSession.objects.count() == 2


def test_a_chain_takes_along_what_the_run_before_left(ada: Any, heard: SshAccess) -> None:
    script = "cat state.txt 2>/dev/null; echo x >> state.txt; cat state.txt"
    sweep = {"parameter": "value", "from": 0, "to": 2, "points": 3, "mode": "chain"}
    calculation = submitted(
        ada,
        software="courier",
        parameters={"script": script},
        sweep={**sweep, "carry": ["state.txt"]},
        cluster=heard.cluster,
    )
    runs = calculation.runs.order_by("index")
    for index in range(3):
        placement.place()
        ended(heard, runs[index])
    assert [run.state for run in runs] == ["valid"] * 3
    lines = Quantity.objects.filter(run__in=runs, name="lines").order_by("run__index")
    assert [quantity.value for quantity in lines] == [1.0, 3.0, 5.0]


def test_what_runs_goes_on_without_the_agent(ada: Any, heard: SshAccess, work: Path) -> None:
    script = f"while [ ! -e '{work}/go' ]; do sleep 0.05; done; echo done"
    run = run_of(ada, software="courier", parameters={"script": script})
    visits.exchange(heard.cluster_id)
    run.refresh_from_db()
    assert run.state == "running"
    assert not agents(work)
    (work / "go").touch()
    until(lambda: any(work.glob("runs/*/.1/exit")))
    visits.exchange(heard.cluster_id)
    run.refresh_from_db()
    assert run.state == "valid"


def test_files_travel_both_ways(ada: Any, heard: SshAccess, work: Path) -> None:
    calculation = with_file(ada, "in.txt", b"as it was\n", "cp in.txt out.dat")
    placement.place()
    run = ended(heard, calculation.runs.get())
    assert run.state == "valid"
    kept = OutputFile.objects.get(run=run, name="out.dat")
    with storage().open(file_key(run.pk, 1, "out.dat")) as stream:
        assert stream.read() == b"as it was\n"
    assert kept.sha256 == hashlib.sha256(b"as it was\n").hexdigest()
    assert list((work / "spool" / "out").iterdir()) == []
    assert (carried("bytes_sent"), carried("bytes_fetched")) == (10, 10)


def test_a_file_that_many_runs_need_travels_once(ada: Any, heard: SshAccess) -> None:
    for _ in range(2):
        with_file(ada, "in.txt", b"x" * 1000, "cat in.txt")
    placement.place()
    for run in Run.objects.all():
        assert ended(heard, run).state == "valid"
    assert carried("bytes_sent") == 1000


def test_a_large_file_goes_on_where_a_kill_broke_it_off(
    ada: Any, heard: SshAccess, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(1024) * 40_000
    calculation = with_file(ada, "in.bin", content, "cp in.bin out.dat")
    placement.place()
    broken: list[int] = []

    def put(self: Connection, source: Path, target: str, *, have: int = 0) -> None:
        """Half of it arrives, then the connection is gone."""
        Path(target).write_bytes(content[: len(content) // 2])
        broken.append(have)
        self.close()
        raise self.lost("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "put", put)
        visits.exchange(heard.cluster_id)
    heard.refresh_from_db()
    assert (broken, heard.failures) == ([0], 1)
    run = calculation.runs.get()
    assert run.state == "assigned"  # no run is blamed for the connection
    until(lambda: not agents(work))  # the work folder is free for the next one
    budget.resume(heard.cluster_id)
    ended(heard, run)
    assert (run.state, run.attempt) == ("valid", 1)
    assert carried("bytes_sent") == len(content) - len(content) // 2
    with storage().open(file_key(run.pk, 1, "out.dat")) as stream:
        assert stream.read() == content


def test_a_retrieved_file_goes_on_where_it_broke_off(
    ada: Any, heard: SshAccess, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = f"while [ ! -e '{work}/go' ]; do sleep 0.02; done; seq 1 200000 > out.dat"
    run = run_of(ada, software="courier", parameters={"script": script})
    content = "".join(f"{n}\n" for n in range(1, 200_001)).encode()
    visits.exchange(heard.cluster_id)
    (work / "go").touch()
    until(lambda: any(work.glob("runs/*/.1/exit")))

    def get(self: Connection, source: str, target: Path) -> None:
        target.write_bytes(content[:1000])
        self.close()
        raise self.lost("killed")

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "get", get)
        visits.exchange(heard.cluster_id)
    run.refresh_from_db()
    assert run.state not in TERMINAL_RUNS
    until(lambda: not agents(work))
    budget.resume(heard.cluster_id)
    ended(heard, run)
    assert run.state == "valid"
    assert carried("bytes_fetched") == len(content) - 1000
    with storage().open(file_key(run.pk, 1, "out.dat")) as stream:
        assert stream.read() == content


def test_ssh_killed_in_the_middle_costs_no_run(ada: Any, heard: SshAccess, work: Path) -> None:
    script = f"touch '{work}/began'; while [ ! -e '{work}/go' ]; do sleep 0.05; done; echo done"
    run = run_of(ada, software="courier", parameters={"script": script})

    def kill() -> None:
        until((work / "began").exists)
        for process in psutil.Process().children(recursive=True):
            if process.name() == "ssh":
                process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    visits.exchange(heard.cluster_id)
    killer.join()
    until(lambda: not agents(work))
    (work / "go").touch()
    until(lambda: any(work.glob("runs/*/.1/exit")))
    budget.resume(heard.cluster_id)
    visits.exchange(heard.cluster_id)
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("valid", 1)


def test_a_server_that_is_back_is_signed_in_to_again(heard: SshAccess, sshd: Sshd) -> None:
    sshd.stop()
    visits.exchange(heard.cluster_id)
    heard.refresh_from_db()
    assert (heard.failures, heard.held_at) == (1, None)
    assert "nothing listens there" in heard.last_error
    assert not visits.exchange(heard.cluster_id)  # not before its time
    heard.refresh_from_db()
    assert heard.failures == 1
    sshd.start()
    SshAccess.objects.update(not_before=now())
    visits.exchange(heard.cluster_id)
    heard.refresh_from_db()
    assert (heard.failures, heard.last_error) == (0, "")


def test_another_host_key_stops_everything(heard: SshAccess, sshd: Sshd) -> None:
    Connection(Site.of(heard)).close()
    sshd.stop()
    sshd.start(host_key="other_host_key")
    visits.exchange(heard.cluster_id)
    heard.refresh_from_db()
    assert heard.held_at is not None
    assert "another key than the one that was confirmed" in heard.last_error
    assert sshd.sign_ins() == 1  # the key was shown to nobody else
    attempts = sshd.attempts()
    visits.exchange(heard.cluster_id)
    assert sshd.attempts() == attempts


def test_a_wrong_user_is_tried_three_times(heard: SshAccess) -> None:
    SshAccess.objects.update(user="nobody-here")
    for _ in range(5):
        SshAccess.objects.update(not_before=None)
        visits.exchange(heard.cluster_id)
    heard.refresh_from_db()
    assert (heard.failures, bool(heard.held_at)) == (3, True)
    assert "did not accept the key for this user" in heard.last_error


@pytest.mark.parametrize("noise", [r"Welcome!\n*** Maintenance ***\n", r"\000\377 no newline"])
def test_a_profile_that_prints_disturbs_nothing(
    ada: Any, site: SshAccess, sshd: Sshd, noise: str
) -> None:
    sshd.stop()
    sshd.noisy(noise)
    visits.exchange(site.cluster_id)
    assert ended(site, run_of(ada)).state == "valid"


def test_two_workers_at_once_are_one_exchange(heard: SshAccess) -> None:
    before = SshSession.objects.count()
    done = [threading.Thread(target=alone, args=(heard.cluster_id,)) for _ in range(4)]
    for thread in done:
        thread.start()
    for thread in done:
        thread.join()
    assert SshSession.objects.count() - before == 1
    heard.refresh_from_db()
    assert heard.last_error == ""


def test_the_agent_is_updated_by_checksum(heard: SshAccess, work: Path, root: Any) -> None:
    agent, settings = work / "labportal-agent.pyz", work / "agent.ini"
    good, written = agent.read_bytes(), agent.stat().st_mtime_ns
    visits.exchange(heard.cluster_id)
    assert agent.stat().st_mtime_ns == written  # nothing to do
    agent.write_bytes(good + b"\n")
    ssh.set_up(heard.cluster, agent_settings="[agent]\nslots = 5\n", actor=root)
    visits.exchange(heard.cluster_id)
    assert agent.read_bytes() == good
    assert "slots = 5" in settings.read_text()
    heard.cluster.refresh_from_db()
    assert heard.cluster.slots_total == 5


def test_what_is_wanted_meanwhile_is_done_in_the_same_visit(
    ada: Any, heard: SshAccess, work: Path, long_visit: LongVisit
) -> None:
    script = f"touch '{work}/began'; while [ ! -e '{work}/go' ]; do sleep 0.02; done"
    first = run_of(ada, software="courier", parameters={"script": script})
    with long_visit(heard):
        until((work / "began").exists)
        second = run_of(ada)
        (work / "go").touch()
        until(lambda: [state_of(run) for run in (first, second)] == ["valid"] * 2)
    assert SshSession.objects.count() == 2


def test_a_worker_that_died_holds_nothing_up(heard: SshAccess) -> None:
    left = budget.claim(heard, SshSession.Kind.EXCHANGE)
    with pytest.raises(budget.Denied, match="an exchange goes on"):
        budget.claim(heard, SshSession.Kind.EXCHANGE)
    SshSession.objects.filter(pk=left.pk).update(expires_at=now())
    visits.exchange(heard.cluster_id)
    assert SshSession.objects.first().exchanges >= 1


@pytest.fixture
def long_visit(monkeypatch: pytest.MonkeyPatch) -> LongVisit:
    """A visit in a thread that waits for whatever comes, until its worker is asked to end."""

    @contextmanager
    def visit(access: SshAccess) -> Iterator[None]:
        stopping = threading.Event()
        monkeypatch.setattr(serving, "LINGER_S", 120.0)
        monkeypatch.setattr(serving, "STOPPING", stopping)
        thread = threading.Thread(target=alone, args=(access.cluster_id,))
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()

    return visit


def ended(access: SshAccess, run: Run) -> Run:
    """Go there until the run has ended; a visit does not wait long for a program."""

    def over() -> bool:
        visits.exchange(access.cluster_id)
        return state_of(run) in TERMINAL_RUNS

    until(over)
    return run


def state_of(run: Run) -> str:
    run.refresh_from_db()
    return run.state


def carried(column: str) -> int:
    """The bytes of all visits together."""
    return sum(SshSession.objects.values_list(column, flat=True))


def alone(cluster_id: int) -> None:
    """As in a thread of a worker."""
    try:
        visits.exchange(cluster_id)
    finally:
        connections.close_all()


def agents(work: Path) -> list[psutil.Process]:
    """The agent's processes for this work folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if str(work / "labportal-agent.pyz") in words and "ssh" not in words[0]:
            found.append(process)
    return found


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def with_file(actor: Any, name: str, content: bytes, script: str) -> Calculation:
    """A queued calculation whose run takes a file along."""
    parameters = {"script": script, "takes": name}
    calculation = draft(actor, software="courier", parameters=parameters)
    drafts.attach(calculation, name, io.BytesIO(content), actor=actor)
    submission.submit(calculation, actor=actor)
    return calculation
