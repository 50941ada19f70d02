"""The Celery application, which uses Redis through the sanitizing transport."""

from __future__ import annotations

from celery import Celery

from runtime.queue.kombu_transport import FastReconnectAMQP
from runtime.queue.wakeups import NEW_PAYMENTS
from runtime.settings import Settings


def make_app(settings: Settings) -> Celery:
    """The Celery application; it connects on first use."""
    app = Celery("payments", broker=settings.redis_url, amqp=FastReconnectAMQP)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=NEW_PAYMENTS.queue,
        task_create_missing_queues=True,
        task_acks_late=False,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        # Affects only tasks with late acknowledgement, and there are none. Without it
        # Celery logs a long warning in every outage of Redis.
        worker_cancel_long_running_tasks_on_connection_loss=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_pool_limit=4,
        broker_transport_options={
            "socket_connect_timeout": 0.5,
            "socket_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "max_connections": 32,
            # A message may be lost, so Redis keeps no copy while a worker has it. Each
            # queue is one list.
            "ack_emulation": False,
            "priority_steps": [0],
        },
    )
    return app
