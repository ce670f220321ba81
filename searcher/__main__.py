"""`python -m searcher …` is the installed `searcher …`."""

from searcher.commands import main

if __name__ == "__main__":
    main()
