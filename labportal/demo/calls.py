"""The second job, done through the API as well: the lab's models answer their examples."""

import json
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console

from labportal.demo.api import Portal, Refused
from mlmodels.examples.bundle import describe

NAMES = ("gait", "echo")
PATIENCE_SECONDS = 60


def run(portal: Portal, console: Console, check: Callable[[], None], *, public_url: str) -> bool:
    """Send each running model its example and show the answer; return whether all answered."""
    answered = True
    for name in NAMES:
        try:
            model = portal.call("GET", f"models/{name}/")
        except Refused:
            continue  # deleted
        if model["desired"] != "running":
            continue
        model = _wait(portal, name, check)
        if model["state"] != "ready":
            console.print(f"[yellow]The model {name} is {model['state']}: {model['why']}")
            answered = False
            continue
        began = time.monotonic()
        answer = portal.call("POST", f"models/{name}/invocations", _example(name))
        took = (time.monotonic() - began) * 1000
        console.print(f"The model {name} answered in {took:.0f} ms: {_words(name, answer)}")
        console.print(f"  {public_url}{model['url']}")
    return answered


def _wait(portal: Portal, name: str, check: Callable[[], None]) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        check()
        model: dict[str, Any] = portal.call("GET", f"models/{name}/")
        if model["state"] in ("ready", "given_up") or time.monotonic() > deadline:
            return model
        time.sleep(0.3)


def _example(name: str) -> dict[str, Any]:
    return dict(json.loads(describe(name)["example"]))


def _words(name: str, answer: dict[str, Any]) -> str:
    if name == "gait":
        return f"{answer['gait']}, {answer['cadence']:.0f} steps/min, {answer['evenness']:.2f} even"
    return str(answer["message"])
