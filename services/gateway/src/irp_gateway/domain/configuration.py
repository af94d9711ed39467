"""The configuration document of a project: what people write, checked, and made canonical."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Protocol, TypeVar, get_args

import re2
from irp_kernel import CANONICAL
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from irp_gateway.domain.automation import Automation, AutoTrain, Canonical, Name
from irp_gateway.domain.errors import ConfigurationNotValid
from irp_gateway.domain.naming import SLUG

RECIPE_LIMIT = 200_000  # characters, as the training server has it
MAX_PLACES = 10  # that a refusal names
OPTIONS = ("113101", "113103", "113104", "113105", "113106", "113107", "113108", "113109", "113110", "113111", "113112")


def _a_pattern(text: str) -> str:
    if len(text) > 256:
        raise ValueError("a pattern has at most 256 characters")
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(text, options)
    except re2.error as error:
        raise ValueError(
            "not a regular expression in the syntax of RE2, which looks neither around nor back"
        ) from error
    return text


def _a_word(text: str) -> str:
    if not re.fullmatch(r"(?=.*[^\W\d_])[^\W_]{3,32}", text) or re.search(r"\d{5,}", text):
        raise ValueError("a word has 3 to 32 letters and digits, at least one letter, no long number")
    return text


Pattern = Annotated[
    str, AfterValidator(_a_pattern), Field(description="regular expression in the syntax of RE2, found anywhere")
]


Listed = Annotated[
    str, Field(pattern=r"^([A-Z][A-Za-z0-9]{0,63}|\(?[0-9A-Fa-f]{3}[02468ACEace],?[0-9A-Fa-f]{4}\)?|(50|60)[xX]{2})$")
]
Word = Annotated[str, AfterValidator(_a_word)]
Keyword = Annotated[str, Field(pattern=r"^([A-Z][A-Za-z0-9]{0,63}|phases)$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Bounded(Protocol):
    @property
    def min(self) -> float | None: ...

    @property
    def max(self) -> float | None: ...


B = TypeVar("B", bound=_Bounded)


def _ordered(bounds: B) -> B:
    if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        raise ValueError("min is not above max")
    return bounds


class Structure(_Strict):
    """A structure that readers draw: the project's name for a canonical one."""

    name: Name
    canonical: Canonical
    snomed: str = ""


class Range(_Strict):
    """A range of numbers, both ends included."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.min is None and self.max is None:
            raise ValueError("say min, max, or both")
        return _ordered(self)


class Sequence(_Strict):
    """A rule that gives a series its class; the first that matches wins, else "other"."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    class_: Annotated[Name, Field(alias="class")]
    when: Annotated[dict[Keyword, Pattern | Range], Field(min_length=1)]


class Question(_Strict):
    """One question of the quality form."""

    name: Name
    type: Literal["integer", "number", "text", "boolean", "choice"]
    min: float | None = None
    max: float | None = None
    choices: list[str] = []
    required: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Question:
        if (self.type == "choice") != bool(self.choices):
            raise ValueError("a question of type choice lists its choices, and only that one does")
        return _ordered(self)


class Coding(_Strict):
    """A code of a terminology."""

    system: str
    code: str


class Endpoint(_Strict):
    """A clinical value that models are asked about."""

    name: Name
    type: Literal["number", "category"]
    unit: str = ""
    code: Coding | None = None


class PrivateAttribute(_Strict):
    """A private attribute: its creator, and group and last two digits of its tag ("0019,xx0C")."""

    creator: Annotated[str, Field(pattern=r"^[ -\[\]-~]{1,64}$")]
    element: Annotated[str, Field(pattern=r"^\(?[0-9A-Fa-f]{3}[13579BDFbdf],?[xX]{2}[0-9A-Fa-f]{2}\)?$")]


class PositiveList(_Strict):
    """The only attributes that the project wants; a list never keeps what the profile takes away.

    An attribute is a keyword of the DICOM dictionary, a tag in quotes ("0018,0081"), "60xx", or a private attribute.
    """

    name: Name
    version: Annotated[int, Field(ge=1, lt=1 << 31)]
    attributes: Annotated[list[Listed | PrivateAttribute], Field(min_length=1, max_length=4096)]


Edge = Annotated[int, Field(ge=0, lt=1 << 16)]
Side = Annotated[int, Field(ge=1, lt=1 << 16)]
HeaderKeyword = Annotated[str, Field(pattern=r"^[A-Z][A-Za-z0-9]{0,63}$")]


class Masking(_Strict):
    """Regions that are blacked out in every frame: x, y, width, height in pixels from the upper left corner."""

    mask: Annotated[list[tuple[Edge, Edge, Side, Side]], Field(min_length=1, max_length=64)]


class PixelRule(_Strict):
    """What becomes of images whose original header matches; the first rule that matches decides.

    `clean`: proven to show no name, taken; `{mask: [...]}`: taken with these regions blacked out; `quarantine`: a
    person looks first; `refuse`. Without a rule, suspects wait in quarantine and everything else is taken.
    """

    when: Annotated[dict[HeaderKeyword, Pattern | Range], Field(min_length=1)]
    then: Literal["clean", "quarantine", "refuse"] | Masking


class Deidentification(_Strict):
    """PS3.15 Annex E: the Basic Profile with Options (codes of CID 7050), and what the project adds to it.

    The vocabulary holds words that descriptors may keep beyond the engine's own words of imaging: never names.
    """

    profile: Literal["basic"] = "basic"
    options: list[Literal[OPTIONS]] = ["113105", "113107", "113111"]  # type: ignore[valid-type]
    positive_list: PositiveList | None = None
    vocabulary: Annotated[list[Word], Field(max_length=500)] = []
    pixels: Annotated[list[PixelRule], Field(max_length=100)] = []
    before_arrival: Literal["optional", "required"] = "optional"
    """Whether uploads must come de-identified, with their uploader's signed report."""

    @model_validator(mode="after")
    def _agrees(self) -> Deidentification:
        if {"113106", "113107"} <= set(self.options):
            raise ValueError("dates are kept (113106) or moved (113107), not both")
        if self.pixels and "113101" not in self.options:
            raise ValueError("rules about pixels need the option 113101")
        return self


class Splits(_Strict):
    """Which patients (pseudonyms) train, validate and test; the others are placed for good when they are frozen."""

    training: list[str] = []
    validation: list[str] = []
    test: list[str] = []

    @model_validator(mode="after")
    def _each_once(self) -> Splits:
        everyone = [*self.training, *self.validation, *self.test]
        if len(everyone) != len(set(everyone)):
            raise ValueError("a patient stands in one split only")
        return self


class Configuration(_Strict):
    """The whole document."""

    name: Annotated[str, Field(pattern=SLUG, description="2 to 48 lower-case letters, digits, hyphens")]
    title: Annotated[str, Field(max_length=200)] = ""
    structures: Annotated[list[Structure], Field(min_length=1)]
    sequences: list[Sequence] = []
    quality_form: list[Question] = []
    endpoints: list[Endpoint] = []
    deidentification: Deidentification = Deidentification()
    automation: Automation = Automation()
    splits: Splits = Splits()
    approvals: Annotated[int, Field(ge=0, le=1)] = 0
    """1: versions of a name that its runs have made, or that it uses, wait for a second person's approval."""
    series_quiet_s: Annotated[float, Field(ge=0, le=3600)] = 2.0

    @model_validator(mode="after")
    def _names_once(self) -> Configuration:
        for what, names in (
            ("structure", [s.name for s in self.structures]),
            ("structure's canonical name", [s.canonical for s in self.structures]),
            ("endpoint", [e.name for e in self.endpoints]),
            ("question", [q.name for q in self.quality_form]),
        ):
            if len(names) != len(set(names)):
                raise ValueError(f"each {what} stands there once")
        return self

    @model_validator(mode="after")
    def _automation_fits(self) -> Configuration:
        train = self.automation.train
        for where, named in (
            ("segment", set(self.automation.segment)),
            ("train.include", set(train.include.sequence_classes) if train else set()),
        ):
            unknown = named - {s.class_ for s in self.sequences} - {"other"}
            if unknown:
                said = ", ".join(sorted(unknown))
                raise ValueError(f"automation.{where} names classes that no sequence gives: {said}")
        return self

    def canonical_json(self) -> bytes:
        """The same document always gives the same bytes."""
        plain = self.model_dump(mode="json", by_alias=True, exclude_defaults=False)
        return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_configuration(document: Any) -> Configuration:
    """Check a parsed document.

    Raises:
        ConfigurationNotValid: says every place that is wrong, never the values.
    """
    try:
        configuration = Configuration.model_validate(document)
    except ValidationError as error:
        places = [_place(e["loc"], e["type"], e["msg"]) for e in error.errors(include_input=False)]
        raise ConfigurationNotValid("; ".join(places[:MAX_PLACES])) from None
    if train := configuration.automation.train:
        _require_may_begin(train)
    return configuration


def _require_may_begin(train: AutoTrain) -> None:
    """Of new documents only: one that is kept already can be read, whatever it leaves out."""
    if not train.model:
        raise ConfigurationNotValid("automation.train.model: name the model that shall learn, else nothing begins")
    if len(json.dumps(train.recipe)) > RECIPE_LIMIT:
        raise ConfigurationNotValid(f"automation.train.recipe: at most {RECIPE_LIMIT} characters")


def _place(where: tuple[int | str, ...], kind: str, message: str) -> str:
    advice = _ADVICE.get(kind) or message.removeprefix("Value error, ")
    return f"{'.'.join(map(str, where)) or 'document'}: {advice}"


_ADVICE = {
    "missing": "is missing, add it",
    "extra_forbidden": "is not a key that is known here, correct or remove it",
    "model_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "list_type": "must be a list",
}

if set(CANONICAL.values()) != set(get_args(Canonical)):
    raise AssertionError("the canonical names of the kernel and of the configuration differ")
