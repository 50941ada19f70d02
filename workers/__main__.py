"""``python -m workers``: one worker process."""

import os

from runtime.settings import Settings
from workers.app import serve

serve(Settings.read(os.environ))
