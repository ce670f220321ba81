"""Runs `python -m searcher …`, which is the same program as the installed `searcher …`."""

from searcher.commands import main

if __name__ == "__main__":
    main()
