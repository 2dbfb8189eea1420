"""`python -m orchestrator` is the command line; nothing else is here."""

from orchestrator.cli import main

if __name__ == "__main__":
    main()
