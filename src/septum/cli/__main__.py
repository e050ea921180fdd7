"""`python -m septum.cli` is `septum`, where the command is not on the path."""

from septum.cli import main

if __name__ == "__main__":
    main()
