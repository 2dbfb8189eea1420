"""`python -m orchestrator.cli`, for where the script is not on the path."""

from orchestrator.cli import main

main()
