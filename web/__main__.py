"""``python -m web``: serves the API until TERM or INT."""

import sys

from web.server import main

sys.exit(main())
