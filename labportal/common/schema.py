"""Names of operations in the OpenAPI description, which programs call them by.

An action of a view set is its noun and its name ("calculation_submit"); other addresses are named
by their path ("me_sign_ins"). Settings name `Schema` as the framework's.
"""

import re

from drf_spectacular.openapi import AutoSchema


class Schema(AutoSchema):
    def get_operation_id(self) -> str:
        noun = str(getattr(self.view, "basename", "") or "").removeprefix("api-").replace("-", "_")
        action = getattr(self.view, "action", None)
        if noun and action:
            methods = getattr(getattr(self.view, action, None), "mapping", {})
            return f"{noun}_{action}" + (f"_{self.method.lower()}" if len(methods) > 1 else "")
        return self._by_path()

    def _by_path(self) -> str:
        """Of the words of the path; one thing of many is named in the singular."""
        name = re.sub(r"[\W_]+", "_", super().get_operation_id()).removesuffix("_retrieve")
        words = self.path.removeprefix("/api/v1/").split("/")
        if len(words) > 1 and words[1].startswith("{"):
            name = name.replace(words[0], words[0].removesuffix("s"), 1)
        return name
