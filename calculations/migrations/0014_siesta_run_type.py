"""What moves the atoms is one choice now: the box “optimise” becomes conjugate gradients."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def _choose(apps: Any, editor: Any) -> None:
    rows = apps.get_model("calculations", "Calculation").objects
    changed = []
    for row in rows.filter(software="siesta", parameters__has_key="optimise").iterator():
        row.parameters["run_type"] = "CG" if row.parameters.pop("optimise") else "none"
        changed.append(row)
    rows.bulk_update(changed, ["parameters"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("calculations", "0013_search_words")]

    operations = [migrations.RunPython(_choose, migrations.RunPython.noop)]
