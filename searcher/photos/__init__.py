"""Image files: finding and decoding them, and reading their metadata. This package knows nothing of models or catalogs.

`scan`     finds the photo files and videos under a folder; `rules` say what is left out; `spelling`: disks that ignore
           letter case; `suffixes`: what kinds of files are called
`choice`   which of the found files are indexed
`decode`   what other packages use: read, decode, open a photo
`decoder`  bytes → an upright RGB image; `opening`, `colour`, `png`, `jpeg`, `raw` … know the kinds of files
`guard`    decodes in a process that can be ended, if a file may take long (`quick`); `worker` is that process
`limits`   the limits of headers, checked before anything is decoded
`embedded` the metadata inside a file: `exif`, `xmp` and `iptc` read it, `metadata` is what they give
`likeness` a perceptual hash and a measure of sharpness
`own`      the mark on pictures that searcher draws
"""
