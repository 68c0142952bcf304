"""What OpenSSH says becomes what an admin can act on. The words were recorded."""

from __future__ import annotations

import pytest

from clusters.transports.ssh.troubles import Code, from_ssh, no_room

SAID = {
    "ssh: Could not resolve hostname nowhere.invalid: Name or service not known": Code.UNKNOWN_HOST,
    "ssh: connect to host 10.0.0.1 port 22: Connection refused": Code.REFUSED,
    "ssh: connect to host 10.0.0.1 port 22: Connection timed out": Code.TIMED_OUT,
    "Connection timed out during banner exchange": Code.TIMED_OUT,
    "ssh: connect to host 10.0.0.1 port 22: No route to host": Code.UNREACHABLE,
    "lab@login: Permission denied (publickey,keyboard-interactive).": Code.SIGN_IN,
    "Received disconnect from 10.0.0.1: Too many authentication failures": Code.SIGN_IN,
    "@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\n"
    "Host key verification failed.": Code.HOST_KEY,
    "No ED25519 host key is known for labportal-3 and you have requested strict checking.\n"
    "Host key verification failed.": Code.HOST_KEY,
    "kex_exchange_identification: Connection closed by remote host": Code.CLOSED,
    "Connection reset by 10.0.0.1 port 22": Code.CLOSED,
    "Unable to negotiate with 10.0.0.1 port 22: no matching host key type found.": Code.ALGORITHMS,
    "something new": Code.OTHER,
    "": Code.OTHER,
}


@pytest.mark.parametrize("said", SAID)
def test_each_has_words_and_a_remedy_of_its_own(said: str) -> None:
    trouble = from_ssh(said)
    assert trouble.code is SAID[said]
    assert trouble.words.endswith((".", "new", "reason"))
    assert trouble.remedy


def test_sftp_says_little_of_a_full_disk() -> None:
    assert no_room('write remote "/scratch/spool/in/x": Failure')
    assert no_room("write: No space left on device")
    assert not no_room('dest open "/x/y": No such file or directory')
