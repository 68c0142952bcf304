"""Echo: answers what it was sent. For trying a portal, a proxy or a node without a real model."""

from __future__ import annotations

import os
import sys
import time

from serving.server import Answer, Call, Model, main

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class Echo(Model):
    """ECHO_LOADS_S, ECHO_ANSWERS_S: seconds that loading and answering take, as in slow models."""

    accepts = (
        "application/json",
        "text/csv",
        "text/plain",
        "application/x-npy",
        "application/octet-stream",
    )
    gives = ()
    at_once = 1024

    def __init__(self) -> None:
        self.loads_s = float(os.environ.get("ECHO_LOADS_S", "0"))
        self.answers_s = float(os.environ.get("ECHO_ANSWERS_S", "0"))

    def load(self) -> None:
        time.sleep(self.loads_s)

    def answer(self, call: Call) -> Answer:
        if self.answers_s:
            time.sleep(self.answers_s)
        attributes = " ".join(call.headers.get(ATTRIBUTES, "").split())
        headers = {ATTRIBUTES: attributes} if attributes else {}
        return Answer(call.body, call.content_type, headers)


if __name__ == "__main__":
    sys.exit(main(Echo))
