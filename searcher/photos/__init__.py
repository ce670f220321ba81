"""Image files: finding and decoding them, and reading their metadata. This package knows nothing of models or catalogs.

`scan`     finds the photo files under a folder; `rules` say what is left out; `spelling`: disks that ignore letter case
`decode`   what other packages use: read, decode, open a photo
`decoder`  bytes → an upright RGB image; `opening`, `colour`, `png`, `jpeg`, `heif`, `tiff` … know the kinds of files
`guard`    decodes in a process that can be ended, if a file may take long (`quick`); `worker` is that process
`limits`   the limits of headers, checked before anything is decoded
`exif`     when, where and with which camera a photo was taken
`own`      the mark on pictures that searcher draws
"""
