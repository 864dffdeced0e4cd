"""``python -m masu``: the command line, for launchers that start modules."""

from masu.cli import main

if __name__ == "__main__":
    main()
