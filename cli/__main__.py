"""``python -m cli`` runs `payments` without its script on the PATH."""

from cli.main import main

main()
