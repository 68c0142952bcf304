"""What `manage.py check` says about an installation, with the remedy."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

from labportal.common import vendor


@register(Tags.staticfiles)
def third_party_files(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    absent = [] if (settings.STATIC_ROOT / "staticfiles.json").exists() else vendor.missing()
    return [
        Warning(f"The browser package {name} is not installed.", hint="npm ci", id="labportal.W001")
        for name in absent
    ]


@register(Tags.staticfiles, deploy=True)
def collected_files(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.STATIC_MANIFEST or (settings.STATIC_ROOT / "staticfiles.json").exists():
        return []
    return [
        Warning(
            "The static files are not collected, pages will fail.",
            hint="manage.py collectstatic --no-input",
            id="labportal.W002",
        )
    ]


@register(Tags.security, deploy=True)
def file_store(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.S3_BUCKET or not settings.FILES_DIR.is_relative_to(settings.BASE_DIR):
        return []
    return [
        Warning(
            "Files of calculations are kept inside the program's own folder.",
            hint="Set S3_BUCKET, or LABPORTAL_FILES to a folder that is backed up.",
            id="labportal.W003",
        )
    ]
