"""``python -m cli`` is `payments` where its script is not on the PATH."""

from cli.main import main

main()
