"""Update a library from the disk: scan → compare with the catalog → decode → embed → commit.

`run`       a complete index run, from the user's paths to the report
`places`    maps the user's paths to roots and parts of roots
`changes`   compares the disk with the catalog
`update`    applies the changes to the catalog; it is loaded only if there are changes
`reembed`   embeds a library again with another model
`pipeline`  reads, hashes, decodes and preprocesses files in threads, ahead of the thread that embeds them
`commit`    decides for each file that was read: added, changed, moved, a copy or failed
"""

from searcher.indexer.run import IndexReport, forget, run

__all__ = ["IndexReport", "forget", "run"]
