"""Create the lab's default project, which is open to everyone who may sign in."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def create(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    project = apps.get_model("accounts", "Project")
    project.objects.get_or_create(
        is_default=True,
        defaults={
            "name": "Lab",
            "slug": "lab",
            "description": "Open to everyone in the lab.",
        },
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
