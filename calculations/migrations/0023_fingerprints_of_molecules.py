"""Molecules get the fingerprint that also tells parts far from each other apart.

Crystals keep theirs. A row stays as it is where it cannot be read, or another has its new one.
"""

from django.db import migrations

from calculations.software.structure import StructureError, read_xyz
from calculations.structures.fingerprint import fingerprint


def renew(apps, schema_editor):
    structures = apps.get_model("calculations", "Structure").objects
    rows = structures.filter(periodic="FFF").only("content", "fingerprint", "project")
    for row in rows.iterator(chunk_size=200):
        try:
            found = fingerprint(read_xyz(row.content))
        except StructureError:
            continue
        if not structures.filter(project=row.project_id, fingerprint=found).exists():
            structures.filter(pk=row.pk).update(fingerprint=found)


class Migration(migrations.Migration):
    dependencies = [("calculations", "0022_run_walltime_end")]

    operations = [migrations.RunPython(renew, migrations.RunPython.noop)]
