"""Stands in for a warm machine of AWS Lambda: the deployed file and nothing else of the repository.

Reads an invocation a line from standard input, answers in a line.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import Any


class Context:
    def __init__(self, asked: dict[str, Any]) -> None:
        self.left_s = asked.get("left_s", 900.0)
        self.memory_limit_in_mb = str(asked.get("memory_mib", 3008))
        self.aws_request_id = asked.get("request", "r-1")

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left_s * 1000)


def main(path: str) -> None:
    spec = importlib.util.spec_from_file_location("bootstrap", path)
    assert spec is not None and spec.loader is not None
    deployed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(deployed)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"payload": deployed.handler(asked["event"], Context(asked))}
        except Exception as error:
            answer = {"error": type(error).__name__, "cause": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
