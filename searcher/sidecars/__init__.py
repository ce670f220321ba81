"""Reads and writes XMP sidecars: the small files next to photos in which photo programs keep tags and edits.

A tag is a path of names from the top level down, such as ("animal", "dog"). It is written to three fields:

| field | value | read by |
| --- | --- | --- |
| `dc:subject` | `dog` | everything |
| `lr:hierarchicalSubject` | `animal|dog` | Lightroom, darktable |
| `digiKam:TagsList` | `animal/dog` | digiKam, Immich |

All other content of a sidecar stays the same: elements, attributes, text, comments, processing instructions, namespace
prefixes, the xpacket wrapper and its padding, and the encoding. A sidecar that needs no change is not written. The
photo itself is never changed.

**Ownership.** A value may already be in the sidecar. For example, `dog` in `dc:subject` alone is common. So the unit
of ownership is not a tag but an *entry*, a string such as `dc:subject=dog`. `update_sidecar` returns the entries that
searcher added, and searcher removes only those.

**List precedence.** digiKam and Immich use only the first of these lists that exists: `digiKam:TagsList`,
`lr:hierarchicalSubject`, `dc:subject`. A list with only our tags would hide the user's tags in the other lists. So if
a hierarchical list has no name from the user, the names from the user's other lists are copied into it. The copies
are our entries. They are removed together with the last of our tags.

**Names.** Runs of white space and control characters become one space. Characters that XML does not allow become
U+FFFD. A separator inside a name is replaced: `/` becomes `\\` in `digiKam:TagsList` (digiKam's own rule), and `|`
becomes `/` in `lr:hierarchicalSubject`. Comparison ignores differences in white space and Unicode composition (NFC).
It is case-sensitive.

**Links.** A sidecar that is a symbolic link is followed only to an existing `.xmp` file. The link stays a link, and
its target is never deleted.

**Reading.** A sidecar says more than tags: `read_metadata`. What people wrote is all that is not an entry of ours:
`theirs`.

`sidecar` reads and updates a sidecar. `tags` decides what to add and remove. `xmp` changes the XML tree. `encoding`
turns bytes into text and back. `files` finds, reads and replaces files.
"""

from searcher.sidecars.errors import SidecarError
from searcher.sidecars.files import remove_leftovers, sidecar_path
from searcher.sidecars.sidecar import Sidecar, Update, read_metadata, read_sidecar, theirs, update_sidecar
from searcher.sidecars.tags import Tag, entries

__all__ = [
    "Sidecar",
    "SidecarError",
    "Tag",
    "Update",
    "entries",
    "read_metadata",
    "read_sidecar",
    "remove_leftovers",
    "sidecar_path",
    "theirs",
    "update_sidecar",
]
