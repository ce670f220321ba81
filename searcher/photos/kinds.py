"""Names the kinds of files that are not supported, for error messages."""

import struct

_STARTS = (
    (b"8BPS", "Photoshop (PSD)"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"DDS ", "DDS texture"),
    (b"qoif", "QOI"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"gimp xcf", "GIMP (XCF)"),
    (b"\x1aE\xdf\xa3", "video"),
)
_RIFF = {b"AVI ": "video", b"WAVE": "sound"}
_PICTURE_BRANDS = (b"mif1", b"msf1", b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"avif", b"avis", b"miaf")
_HIERARCHICAL = (0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF)
_JPEG_FRAMES = {0xC3: "lossless JPEG", 0xF7: "JPEG-LS"} | dict.fromkeys(_HIERARCHICAL, "hierarchical JPEG")


def unsupported_kind(data: bytes) -> str | None:
    """The kind of file, if it is one that is known but not supported."""
    if data[4:8] == b"ftyp":
        (size,) = struct.unpack_from(">I", data)
        return None if any(known in data[8 : min(size, 256)] for known in _PICTURE_BRANDS) else "video"
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12])
    if data[:2] == b"\xff\xd8":
        return _jpeg_kind(data)
    if data[:5].lower() in (b"<?xml", b"<svg ") and b"<svg" in data[:4096]:
        return "SVG"
    return next((name for start, name in _STARTS if data.startswith(start)), None)


def _jpeg_kind(data: bytes) -> str | None:
    position = 2
    while position + 5 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _JPEG_FRAMES:
            return _JPEG_FRAMES[marker]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits = data[position + 4]
            return f"JPEG of {bits} bits" if bits != 8 else None
        if marker == 0xDA:
            return None
        position += 2 + int.from_bytes(data[position + 2 : position + 4])
    return None
