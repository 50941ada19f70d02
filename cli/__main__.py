"""``python -m runtime.cli`` is `payments` where its script is not on the PATH."""

from runtime.cli.main import main

main()
