"""What you learn here: the gateway's verbs with everything in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from irp_chassis.testing import InMemoryObjects
from irp_gateway.app.create_project import CreateProject
from irp_gateway.app.enter_project import EnterProject
from irp_gateway.app.identify import Identify
from irp_gateway.app.issue_token import IssueToken
from irp_gateway.app.ports import Project, Token
from irp_gateway.app.revise_project import ReviseProject
from irp_gateway.domain.errors import ConfigurationNotValid, ProjectExists, RevisionChanged
from irp_gateway.domain.roles import Identity, Member
from irp_kernel import ObjectRef, sha256_of
from irp_kernel.errors import PermissionDenied, ProjectUnknown, Unauthenticated

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {"name": "hearts", "structures": [{"name": "cavity", "canonical": "lv_blood_pool"}]}
READER = Identity(subject="reader")


class InMemoryProjects:
    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.members: dict[tuple[str, str], Member] = {}
        self.by_admin: list[bool] = []

    async def add(self, project: Project, owner: str, *, by_admin: bool = False) -> None:
        if project.id in self.projects:
            raise ProjectExists
        self.by_admin.append(by_admin)
        self.projects[project.id] = project
        self.members[project.id, owner] = Member(subject=owner, roles=frozenset({"owner"}))

    async def revise(self, project: Project, expected_revision: int, *, by_admin: bool = False) -> None:
        if self.projects[project.id].revision != expected_revision:
            raise RevisionChanged
        self.by_admin.append(by_admin)
        self.projects[project.id] = project

    async def find(self, id: str, subject: str) -> tuple[Project, Member | None] | None:
        project = self.projects.get(id)
        return (project, self.members.get((id, subject))) if project else None


class InMemoryTokens:
    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}

    async def find(self, token_sha256: str) -> Token | None:
        return self.tokens.get(token_sha256)

    async def add(self, token: Token) -> None:
        self.tokens[token.sha256] = token


class Configurations:
    def __init__(self) -> None:
        self.objects = InMemoryObjects()

    async def put(self, project: str, document: bytes) -> ObjectRef:
        return await self.objects.put(
            document,
            project=project,
            entity="project",
            id=project,
            kind="configuration",
            media_type="application/json",
            extension="json",
        )


@pytest.fixture
def projects() -> InMemoryProjects:
    return InMemoryProjects()


@pytest.fixture
def create(projects: InMemoryProjects) -> CreateProject:
    return CreateProject(projects, Configurations(), lambda: NOW)


@pytest.fixture
def revise(projects: InMemoryProjects) -> ReviseProject:
    return ReviseProject(projects, Configurations())


async def test_whoever_creates_a_project_owns_it(create: CreateProject, projects: InMemoryProjects) -> None:
    project = await create(DOCUMENT, READER)
    assert (project.revision, project.created_at) == (1, NOW.isoformat())
    _, member = await EnterProject(projects)(READER, "hearts", "annotator")
    assert member.roles == {"owner"}


async def test_a_revision_counts_up_only_when_something_changes(create: CreateProject, revise: ReviseProject) -> None:
    project = await create(DOCUMENT, READER)
    assert await revise(project, dict(DOCUMENT), None) is project
    assert (await revise(project, DOCUMENT | {"title": "B"}, 1)).revision == 2
    with pytest.raises(RevisionChanged):  # `project` is what a slower person holds
        await revise(project, DOCUMENT | {"title": "C"}, None)
    with pytest.raises(RevisionChanged):
        await revise(project, DOCUMENT | {"title": "C"}, 7)
    with pytest.raises(ConfigurationNotValid):
        await revise(project, DOCUMENT | {"name": "others"}, None)


async def test_a_revision_says_whether_an_administrator_made_it(
    create: CreateProject, revise: ReviseProject, projects: InMemoryProjects
) -> None:
    project = await create(DOCUMENT, replace(READER, admin=True))
    await revise(await revise(project, DOCUMENT | {"title": "B"}, 1), DOCUMENT, 2, by_admin=True)
    await create(DOCUMENT | {"name": "lungs"}, READER)
    assert projects.by_admin == [True, False, True, False]


async def test_a_stranger_and_a_wrong_name_look_the_same(create: CreateProject, projects: InMemoryProjects) -> None:
    await create(DOCUMENT, READER)
    enter = EnterProject(projects)
    refusals = []
    for identity, name in ((Identity(subject="stranger"), "hearts"), (READER, "nowhere")):
        with pytest.raises(ProjectUnknown) as refused:
            await enter(identity, name)
        refusals.append((refused.value.message, refused.value.details))
    assert refusals[0] == refusals[1]


async def test_a_token_of_another_project_enters_nothing_even_for_a_member(
    create: CreateProject, projects: InMemoryProjects
) -> None:
    await create(DOCUMENT, READER)
    with pytest.raises(ProjectUnknown):
        await EnterProject(projects)(Identity(subject="reader", project="lungs"), "hearts")
    with pytest.raises(PermissionDenied):
        await create(DOCUMENT | {"name": "others"}, Identity(subject="reader", project="hearts"))


@pytest.mark.parametrize(
    ("roles", "asked", "enters"),
    [
        ({"viewer"}, (), True),
        ({"viewer"}, ("annotator",), False),
        ({"annotator"}, ("annotator",), True),
        ({"uploader"}, ("annotator",), False),
        ({"owner"}, ("uploader",), True),
        ({"viewer", "uploader"}, ("uploader", "annotator"), True),
    ],
)
async def test_roles_open_doors(
    create: CreateProject, projects: InMemoryProjects, roles: set[str], asked: tuple[str, ...], enters: bool
) -> None:
    await create(DOCUMENT, Identity(subject="somebody-else"))
    projects.members["hearts", "reader"] = Member(subject="reader", roles=frozenset(roles))
    enter = EnterProject(projects)
    if enters:
        await enter(READER, "hearts", *asked)
        return
    with pytest.raises(PermissionDenied):
        await enter(READER, "hearts", *asked)


async def test_an_administrator_enters_every_project(create: CreateProject, projects: InMemoryProjects) -> None:
    await create(DOCUMENT, READER)
    _, member = await EnterProject(projects)(Identity(subject="root", admin=True), "hearts", "owner")
    assert member.roles == {"admin"}


async def test_a_token_is_kept_as_its_hash_and_ends_when_it_expires() -> None:
    tokens, clock = InMemoryTokens(), [NOW]
    issue = IssueToken(tokens, lambda: "secret", lambda: clock[0])
    text, token = await issue(READER, timedelta(days=1))
    assert text == "irp_secret"
    assert list(tokens.tokens) == [sha256_of(b"irp_secret")]
    assert text not in repr(token)
    identify = Identify(tokens, "", lambda: clock[0])
    assert await identify(f"Bearer {text}") == READER
    assert await identify(f"bearer  {text} ") == READER
    clock[0] += timedelta(days=1)
    with pytest.raises(Unauthenticated, match="expired"):
        await identify(f"Bearer {text}")


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "irp_secret", "Bearer other"])
async def test_without_a_known_token_nobody_is_anybody(header: str) -> None:
    with pytest.raises(Unauthenticated):
        await Identify(InMemoryTokens(), "", lambda: NOW)(header)


async def test_the_first_administrator_comes_with_the_token_of_the_settings() -> None:
    identify = Identify(InMemoryTokens(), sha256_of(b"first").upper(), lambda: NOW)
    assert (await identify("Bearer first")).admin
    with pytest.raises(Unauthenticated):  # an empty setting admits nobody, not everybody
        await Identify(InMemoryTokens(), "", lambda: NOW)("Bearer ")
