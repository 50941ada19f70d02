"""``python -m workers``: one worker process."""

from runtime.settings import Settings
from workers.app import serve

serve(Settings.of_process("mongo_url", "redis_url"))
