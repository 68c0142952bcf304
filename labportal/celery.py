"""The Celery application. Work travels as JSON ids, is acknowledged when done, and a lost broker
never holds a request long. What the environment decides stands in settings.py.
"""

import os

from celery import Celery

from clusters.node.acknowledging import go_on_after_failures

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labportal.settings")

go_on_after_failures()
app = Celery("labportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    broker_connection_timeout=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "socket_connect_timeout": 1,
        "socket_timeout": 1,
        "visibility_timeout": 3600,
    },
    task_publish_retry=True,
    task_publish_retry_policy={
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.1,
        "retry_errors": None,
    },
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_time_limit=900,
    task_soft_time_limit=840,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    # Nodes of the lab reach the broker too: nobody there may stop or change a worker.
    worker_enable_remote_control=False,
    timezone="UTC",
    enable_utc=True,
    beat_scheduler="django_celery_beat.schedulers:DatabaseScheduler",
    beat_max_loop_interval=5,
)
app.autodiscover_tasks()
