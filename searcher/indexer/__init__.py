"""Bringing a library up to date with the disk: scan → compare with the catalog → decode → embed → commit.

`run`       one whole run, from what the user named to the report
`places`    what the user named → roots and the parts of them to look at
`changes`   the disk compared with the catalog
`update`    the catalog made what the disk is; loaded only when something has changed
`pipeline`  threads that read, hash and decode, ahead of the thread that embeds
`commit`    what a finished file means for the catalog: added, changed, moved, a copy
"""

from searcher.indexer.run import IndexReport, forget, run

__all__ = ["IndexReport", "forget", "run"]
