"""The lab's one announcement becomes the first of the announcements."""

from django.db import migrations


def move(apps, schema_editor):
    lab = apps.get_model("calculations", "LabSettings").objects.first()
    text = lab.announcement.strip() if lab else ""
    if text:
        apps.get_model("notifications", "Announcement").objects.create(text=text)


def move_back(apps, schema_editor):
    newest = apps.get_model("notifications", "Announcement").objects.order_by("-pk").first()
    if newest is not None:
        apps.get_model("calculations", "LabSettings").objects.update(announcement=newest.text[:300])


class Migration(migrations.Migration):
    dependencies = [
        ("calculations", "0019_metrics_retention"),
        ("notifications", "0002_announcements"),
    ]

    operations = [migrations.RunPython(move, move_back)]
