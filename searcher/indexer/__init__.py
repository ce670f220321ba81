"""Bring a library up to date with the disk: scan → compare with the catalog → decode → embed → commit.

`look`     what the user named, compared with the catalog: nothing is read or written beyond new roots
`places`   what the user named → roots, and the parts of them to look at
`changes`  the disk compared with the catalog
`update`   the catalog is brought up to date; loaded only if something has changed
`commit`   what a file that was read means for the catalog: added, changed, moved, a copy
`beside`   which sidecar belongs to which photo
`metadata` sidecars that have changed, and photos that an earlier version indexed
`moving`   a root is found at another path
`reembed`  another model for a library
`report`   what a run did
"""

from searcher.indexer.look import Look, forget, look
from searcher.indexer.report import IndexReport

__all__ = ["IndexReport", "Look", "forget", "look"]
