"""What a project allows, whoever calls: models, hosted tools, and what may be kept."""

from __future__ import annotations

from typing import Literal

import msgspec
from sqlalchemy import Connection, select

from inhouse.engines.moderation.categories import CATEGORIES
from inhouse.engines.moderation.verdicts import Verdict
from inhouse.kit.errors import Forbidden
from inhouse.storage.schema import policies

Retention = Literal[
    "zero_data_retention",
    "modified_abuse_monitoring",
    "enhanced_zero_data_retention",
    "enhanced_modified_abuse_monitoring",
]
ProjectRetention = Literal["organization_default", "none"] | Retention
ModelMode = Literal["allow_list", "deny_list"]
HostedTool = Literal["file_search", "web_search", "image_generation", "mcp", "code_interpreter"]
HOSTED_TOOLS: tuple[HostedTool, ...] = ("file_search", "web_search", "image_generation", "mcp", "code_interpreter")
DEFAULT_RETENTION: Retention = "modified_abuse_monitoring"
"""Nobody but the organization itself looks at what is stored here."""


GuardrailMode = Literal["off", "annotate", "block"]
MODERATION_MODEL = "omni-moderation-latest"


class Guardrail(msgspec.Struct, frozen=True):
    """What of generations is moderated, for what, and what follows.

    ``annotate`` tells the verdict; ``block`` also refuses flagged input, and ends an answer before flagged output.
    ``categories`` are those that flag, None all. ``thresholds`` are scores from which a category flags, where that is
    not to be as the moderation model has it. ``origin`` is who asked for it.
    """

    model: str = MODERATION_MODEL
    input: GuardrailMode = "off"
    output: GuardrailMode = "off"
    categories: tuple[str, ...] | None = None
    thresholds: dict[str, float] = {}
    origin: Literal["project", "request"] = "project"

    def flags(self, verdict: Verdict) -> dict[str, bool]:
        """Which categories of a verdict it flags."""

        def flagged(name: str) -> bool:
            if self.categories is not None and name not in self.categories:
                return False
            threshold = self.thresholds.get(name)
            return verdict.flags[name] if threshold is None else verdict.scores[name] >= threshold

        return {name: flagged(name) for name in CATEGORIES}


class Policy(msgspec.Struct, frozen=True):
    """The policy of one project."""

    model_mode: ModelMode | None = None
    models: frozenset[str] = frozenset()
    tools_off: frozenset[str] = frozenset()
    zero_retention: bool = False
    """Answers are not stored: ``store`` counts as false whatever a request says."""
    guardrail: Guardrail | None = None
    """None: nothing is moderated unless a request asks for it."""

    def check_model(self, project_id: str, name: str, *aliases: str) -> None:
        """
        Args:
            aliases: other names of the model: a list that has any of them means it.

        Raises:
            Forbidden: the project may not use the model.
        """
        if not self.allows_model(name, *aliases):
            raise Forbidden(f"Project `{project_id}` does not have access to model `{name}`", code="model_not_found")

    def allows_model(self, *names: str) -> bool:
        """Whether the project may use a model of these names: an alias and its dated snapshot are one."""
        if self.model_mode is None:
            return True
        return (not self.models.isdisjoint(names)) == (self.model_mode == "allow_list")

    def check_tool(self, project_id: str, type: str) -> None:
        """
        Args:
            type: of a tool, as requests name it: ``mcp``, or ``web_search_preview_2025_03_11`` for ``web_search``.

        Raises:
            Forbidden: it is hosted, and the project may not use it.
        """
        tool = "web_search" if type.startswith("web_search") else type
        if tool in self.tools_off:
            raise Forbidden(f"Project `{project_id}` does not have access to tool `{tool}`", param="tools")


NO_POLICY = Policy()


class Stored(msgspec.Struct, frozen=True):
    """A row of ``policies``, as it was set."""

    retention: ProjectRetention | None = None
    model_mode: ModelMode | None = None
    models: tuple[str, ...] = ()
    tools_off: tuple[HostedTool, ...] = ()
    guardrail: Guardrail | None = None


def stored(connection: Connection, scope: str) -> Stored:
    """What was set for an organization or a project."""
    row = connection.execute(select(policies).where(policies.c.scope == scope)).first()
    if row is None:
        return Stored()
    decode = msgspec.json.decode
    return Stored(
        row.retention,
        row.model_mode,
        decode(row.models, type=tuple[str, ...]) if row.models else (),
        decode(row.tools_off, type=tuple[HostedTool, ...]) if row.tools_off else (),
        decode(row.guardrail, type=Guardrail) if row.guardrail else None,
    )


def guardrails_of(connection: Connection, project_id: str) -> Policy:
    """What of a project's policy holds for work that was admitted already: its guardrails alone."""
    return Policy(guardrail=stored(connection, project_id).guardrail)


def policy_of(connection: Connection, organization_id: str, project_id: str | None) -> Policy:
    """The policy in force in a project; its retention is the organization's unless it has one of its own."""
    if project_id is None:
        return NO_POLICY
    own = stored(connection, project_id)
    retention = own.retention
    if retention in (None, "organization_default"):
        retention = stored(connection, organization_id).retention
    return Policy(
        own.model_mode,
        frozenset(own.models),
        frozenset(own.tools_off),
        retention in ("zero_data_retention", "enhanced_zero_data_retention"),
        own.guardrail,
    )
