"""Image files: finding, decoding and drawing them, and reading their metadata.

`scan` finds the photo files under a folder. `decode` turns a file into upright RGB pixels. `exif` reads when and
where a photo was taken. `sheet` draws a contact sheet. `samples` finds the photos of the
demo. This package does not depend on models or catalogs.
"""
