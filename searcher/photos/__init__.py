"""Image files and nothing else: find them, decode them, read what the camera wrote, lay them out on a sheet.

`scan` finds the files under a folder, `decode` turns one into upright RGB pixels, `exif` reads when and where
it was taken, `sidecar` keeps tags in the XMP file beside it, `sheet` draws a contact sheet, `samples` finds the
photos of the demo. Nothing here knows of models or catalogs.
"""
