"""Lists of ids and of labels in the body of a request."""

from typing import Annotated

from fastapi import Path
from pydantic import Field, StringConstraints

MOST_PHOTOS = 10_000
MOST_LABELS = 1000

ImageId = Annotated[int, Field(ge=1, lt=2**63)]
Ids = Annotated[list[ImageId], Field(max_length=MOST_PHOTOS, description="Ids of images; unknown ones are left out.")]
SomeIds = Annotated[Ids, Field(min_length=1)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
LabelNames = Annotated[list[LabelName], Field(max_length=MOST_LABELS)]
SomeLabelNames = Annotated[LabelNames, Field(min_length=1)]
LabelPath = Annotated[str, Path(min_length=1, max_length=200, description="The name of a label.")]
