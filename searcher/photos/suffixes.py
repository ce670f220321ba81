"""The names of photo files, camera raw files and videos: their suffixes, in lower case."""

PHOTO_SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .tif .tiff .bmp .avif .heic .heif .hif .ico .pnm .ppm .pgm .pbm "
    b".jp2 .j2k .j2c .jpc .jpf .jpx .jph .jxl".split()
)
"""Photos. The format is detected from the content, not from the suffix."""

JPEG_XL_SUFFIXES = frozenset([b".jxl"])
"""Those photos that need the extra `jxl`."""

RAW_SUFFIXES = frozenset(
    b".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .gpr .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .rw2 "
    b".rwl .sr2 .srf .srw .x3f".split()
)
"""Camera raw files. They need the extra `raw`."""

SIDECAR_SUFFIX = b".xmp"

RAW_WITH_SIDECAR_SUFFIXES = RAW_SUFFIXES | {b".ari", b".bay", b".cap", b".raw"}
"""Camera raw files, also those that are not read. `photo.xmp` belongs to them, not to a JPEG of the same name."""

COMPANION_SUFFIXES = frozenset(b".jpg .jpeg .jpe .jfif .heic .heif .hif".split())
"""What a camera writes beside a raw file, as the same photo."""

VIDEO_SUFFIXES = frozenset(
    b".mp4 .mov .m4v .avi .mkv .webm .wmv .asf .flv .3gp .3g2 .mts .m2ts .mpg .mpeg .mpe .m2v .mxf .ogv .vob .insv "
    b".lrv .qt .divx .rmvb".split()
)
"""Videos. The suffix .ts is left out: most of these files are programs (TypeScript)."""

READ_SUFFIXES = PHOTO_SUFFIXES | RAW_SUFFIXES
"""What may be indexed."""

FOUND_SUFFIXES = READ_SUFFIXES | VIDEO_SUFFIXES | {SIDECAR_SUFFIX}
"""What a scan of a folder finds."""


def suffix_of(path: bytes) -> bytes:
    """The suffix of a file, in lower case, with its dot. Of a name without a dot, any bytes that are no suffix."""
    return path[path.rfind(b".") :].lower()
