"""What a labelling configuration of Label Studio says: the names of its tags, and of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException, ElementTree

from masu.errors import listed
from masu.service.limits import RefusedError

_LONGEST = 1_000_000


@dataclass(frozen=True)
class Tags:
    """Where boxes go.

    Attributes:
        labels: name of the tag ``RectangleLabels``.
        image: name of the tag ``Image``.
        key: of the task's data that holds the image's address.
        names: the label of each class of the model that has one.
    """

    labels: str
    image: str
    key: str
    names: Mapping[str, str]


def tags_of(config: object, names: Sequence[str]) -> Tags:
    """The tags for boxes on an image.

    A label takes the class of its own name, and those of ``predicted_values`` (``"car,truck"``), as in the
    examples of Label Studio. Labels that come from the task's data take all classes.

    Args:
        config: the labelling configuration, XML.
        names: classes of the model.

    Raises:
        RefusedError: no such XML, no ``RectangleLabels`` on an ``Image``, or no label of the model's classes.
    """
    if not isinstance(config, str) or len(config) > _LONGEST:
        raise RefusedError(400, "label_config: found none, wanted the labelling configuration of the project")
    try:
        root = ElementTree.fromstring(config)
    except (ParseError, DefusedXmlException, ValueError):
        raise RefusedError(400, "label_config: found broken XML") from None
    images = {tag.get("name"): tag for tag in root.iter("Image")}
    for tag in root.iter("RectangleLabels"):
        image = images.get(tag.get("toName"))
        name, to, value = tag.get("name"), tag.get("toName"), "" if image is None else image.get("value", "")
        if name and to and value.startswith("$"):
            return Tags(name, to, value[1:], _names(tag, names))
    raise RefusedError(
        400, 'label_config: found no boxes, wanted <RectangleLabels toName="…"> of an <Image value="$…">'
    )


def _names(tag: Element, names: Sequence[str]) -> dict[str, str]:
    own, meant = set(), {}
    for label in tag.iter("Label"):
        value = label.get("value", "")
        own.add(value)
        for said in label.get("predicted_values", "").split(","):
            meant[said.strip()] = value
    if not own and tag.get("value", "").startswith("$"):
        return {name: name for name in names}
    found = {name: name if name in own else meant[name] for name in names if name in own or name in meant}
    if not found:
        raise RefusedError(
            400,
            f"label_config: found the labels {listed(sorted(own), 8)}, wanted one of the model's classes: "
            f'{listed(names, 8)}; predicted_values="…" of a <Label> names the classes that it takes',
        )
    return found
