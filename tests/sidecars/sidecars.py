"""Sidecars in the form in which other programs write them, and readers that are independent of our code.

The content of the sidecars is made up. Only `names` and `update` use our code.
"""

import codecs
import io
import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from searcher.sidecars import Sidecar, read_sidecar, update_sidecar
from tests.programs import needs

DOG = ("animal", "dog")

RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
LISTS = {
    "dc:subject": "{http://purl.org/dc/elements/1.1/}subject",
    "lr:hierarchicalSubject": "{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject",
    "digiKam:TagsList": "{http://www.digikam.org/ns/1.0/}TagsList",
}

DARKTABLE = """\
<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
   xmp:Rating="3"
   xmpMM:DerivedFrom="photo.jpg"
   darktable:xmp_version="5"
   darktable:auto_presets_applied="1"
   darktable:history_end="1">
   <darktable:masks_history>
    <rdf:Seq/>
   </darktable:masks_history>
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="exposure"
      darktable:params="gz02eJxjYGBgkGAAgRNODGiAEV0AJ2iwh+CRyscOAAdeGQQ="/>
    </rdf:Seq>
   </darktable:history>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Harbour</rdf:li>
     <rdf:li>Places</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>Places|Harbour</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

DIGIKAM = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 5.5.0">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:MicrosoftPhoto="http://ns.microsoft.com/photo/1.0/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
    xmlns:acdsee="http://ns.acdsee.com/iptc/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
   digiKam:PickLabel="3"
   acdsee:categories="&lt;Categories&gt;&lt;Category Assigned=&quot;1&quot;&gt;Sea&lt;/Category&gt;&lt;/Categories&gt;">
   <digiKam:TagsList>
    <rdf:Seq>
     <rdf:li>Places/Harbour</rdf:li>
     <rdf:li>Sea</rdf:li>
    </rdf:Seq>
   </digiKam:TagsList>
   <MicrosoftPhoto:LastKeywordXMP>
    <rdf:Bag>
     <rdf:li>Places/Harbour</rdf:li>
    </rdf:Bag>
   </MicrosoftPhoto:LastKeywordXMP>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>Places|Harbour</rdf:li>
     <rdf:li>Sea</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Harbour</rdf:li>
     <rdf:li>Sea</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <dc:description>
    <rdf:Alt>
     <rdf:li xml:lang="x-default">Boats &amp; more: caf\u00e9 \U0001f6a4</rdf:li>
    </rdf:Alt>
   </dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>

<?xpacket end="w"?>"""

LIGHTROOM = """\
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00:00        ">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
    xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
    xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
    xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/"
   xmp:ModifyDate="2023-06-01T12:34:56+02:00"
   photoshop:SidecarForExtension="NEF"
   crs:Exposure2012="+0.35"
   crs:HasSettings="True">
   <xmpMM:History>
    <rdf:Seq>
     <rdf:li
      stEvt:action="saved"
      stEvt:when="2023-06-02T08:00:00+02:00"
      stEvt:changed="/metadata"/>
    </rdf:Seq>
   </xmpMM:History>
   <crs:ToneCurvePV2012>
    <rdf:Seq>
     <rdf:li>0, 0</rdf:li>
     <rdf:li>255, 255</rdf:li>
    </rdf:Seq>
   </crs:ToneCurvePV2012>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

IMMICH = """\
<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<x:xmpmeta xmlns:x='adobe:ns:meta/' x:xmptk='Image::ExifTool 13.00'>
<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>

 <rdf:Description rdf:about=''
  xmlns:dc='http://purl.org/dc/elements/1.1/'>
  <dc:description>
   <rdf:Alt>
    <rdf:li xml:lang='x-default'>Boats</rdf:li>
   </rdf:Alt>
  </dc:description>
 </rdf:Description>

 <rdf:Description rdf:about=''
  xmlns:digiKam='http://www.digikam.org/ns/1.0/'>
  <digiKam:TagsList>
   <rdf:Seq>
    <rdf:li>Places/Harbour</rdf:li>
   </rdf:Seq>
  </digiKam:TagsList>
 </rdf:Description>

 <rdf:Description rdf:about=''
  xmlns:xmp='http://ns.adobe.com/xap/1.0/'>
  <xmp:Rating>4</xmp:Rating>
 </rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end='w'?>"""

PROGRAMS = {"darktable": DARKTABLE, "digiKam": DIGIKAM, "Lightroom": LIGHTROOM, "Immich": IMMICH}


def sidecar(folder: Path, text: str | bytes) -> Path:
    file = folder / "photo.jpg.xmp"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def update(file: Path, *tags: tuple[str, ...], remove: tuple[str, ...] = ()) -> tuple[str, ...]:
    return update_sidecar(bytes(file), tags, remove).added


def document(properties: str = "", attributes: str = "") -> str:
    """A sidecar with one rdf:Description. It declares the prefixes rdf, dc, lr, digiKam and xmp."""
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF[1:-1]}">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:digiKam="http://www.digikam.org/ns/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"{attributes}>
   <xmp:Rating>4</xmp:Rating>{properties}
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""


def names(file: Path) -> Sidecar:
    """The names in a sidecar that is there."""
    found = read_sidecar(bytes(file))
    assert found is not None
    return found


def read(file: Path) -> tuple[dict[str, list[str]], str]:
    """Read a sidecar with ElementTree. Returns its three lists, and everything else as canonical XML.

    Canonical XML has the prefixes, comments and processing instructions. White space between tags is left out.
    """
    body = _parts(file)[1]
    root = ElementTree.fromstring(body)
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    for description in root.iter(f"{RDF}Description"):
        for name, tag in LISTS.items():
            value = description.attrib.pop(tag, None)
            lists[name] += [value] if value is not None else []
            for element in description.findall(tag):
                array = element[0] if len(element) else None
                assert array is None or (len(element) == 1 and not (array.text or "").strip())
                lists[name] += [element.text or ""] if array is None else [item.text or "" for item in array]
    tags = [*LISTS.values()]
    rest = ElementTree.canonicalize(body, with_comments=True, exclude_tags=tags, exclude_attrs=tags)
    return lists, re.sub(r">\s+<", "><", rest)


def content(file: Path) -> tuple[str, str, list[tuple[str, str]], str]:
    """All content of a sidecar, so that two sidecars with the same content are equal.

    Returns the text before the root element with the byte order mark and XML declaration, the root as canonical XML
    with comments and white space, the namespace declarations, and the text after the root.
    """
    head, body, tail = _parts(file)
    declared = [found for _, found in ElementTree.iterparse(io.StringIO(body), ["start-ns"])]
    return head, ElementTree.canonicalize(body, with_comments=True), sorted(declared), tail


def _parts(file: Path) -> tuple[str, str, str]:
    """The text of a sidecar before its root element, in it and after it."""
    data = file.read_bytes()
    boms = {codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF16_LE: "utf-16-le"}  # UTF-32 first: it starts like UTF-16
    encoding = next((name for bom, name in boms.items() if data.startswith(bom)), "utf-8")
    text = data.decode("latin-1" if b'encoding="ISO-8859-1"' in data else encoding)
    start = re.match(r"(?:\ufeff|\s|<\?.*?\?>|<!--.*?-->)*", text, re.DOTALL)
    assert start is not None
    name = re.compile(r"<([^\s/>]+)").match(text, start.end())
    assert name is not None
    close = f"</{name[1]}>"
    end = text.rindex(close) + len(close) if close in text else text.rindex("/>") + 2
    return text[: start.end()], text[start.end() : end], text[end:]


def exiftool(file: Path) -> dict[str, Any]:
    """The fields that exiftool reads, by name ("XMP-dc:Subject"). Values are strings or lists of strings."""
    (found,) = exiftool_of_many([file])
    return found


def exiftool_of_many(files: Sequence[Path]) -> list[dict[str, Any]]:
    """The fields that exiftool reads from each file."""
    command: list[str | Path] = [needs("exiftool"), "-j", "-struct", "-G1", "-XMP:all", *files]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: list[dict[str, Any]] = json.loads(done.stdout, parse_int=str, parse_float=str)
    for each in found:
        del each["SourceFile"]
    return found
