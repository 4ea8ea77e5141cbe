"""``python -m boxoffice.cli``: the command line, for those that start it as a child."""

from boxoffice.cli import main

if __name__ == "__main__":
    main()
