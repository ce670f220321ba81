"""Run searcher from a checkout: `python cli.py …` does the same as the installed `searcher …`."""

from searcher.commands import main

if __name__ == "__main__":
    main()
