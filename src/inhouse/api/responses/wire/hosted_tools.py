"""Tools that the service itself runs, or knows by kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from inhouse.api.responses.wire.base import (
    DeferLoading,
    Description,
    FileId,
    ImageURL,
    SharedObject,
    SomeAllowedCallers,
)
from inhouse.api.wire import doc


class Equals(SharedObject, kw_only=True, tag_field="type", tag="eq"):
    """The attribute is the value. The other comparisons follow, one class for each kind."""

    key: Annotated[str, doc("The attribute to compare.")]
    value: Annotated[str | float | bool | list[str | float], doc("What to compare it with.")]


class NotEquals(Equals, kw_only=True, tag="ne"):
    """The attribute is not the value."""


class GreaterThan(Equals, kw_only=True, tag="gt"):
    """The attribute is greater."""


class GreaterOrEqual(Equals, kw_only=True, tag="gte"):
    """The attribute is greater or equal."""


class LessThan(Equals, kw_only=True, tag="lt"):
    """The attribute is less."""


class LessOrEqual(Equals, kw_only=True, tag="lte"):
    """The attribute is less or equal."""


class OneOf(Equals, kw_only=True, tag="in"):
    """The attribute is among the values."""


class NoneOf(Equals, kw_only=True, tag="nin"):
    """The attribute is not among the values."""


class AllOf(SharedObject, kw_only=True, tag_field="type", tag="and"):
    """All of the filters hold."""

    filters: Annotated[list[Filter], doc("The filters.")]


class AnyOf(AllOf, kw_only=True, tag="or"):
    """One of the filters holds, or several."""


Filter = Equals | NotEquals | GreaterThan | GreaterOrEqual | LessThan | LessOrEqual | OneOf | NoneOf | AllOf | AnyOf


class RankingOptions(SharedObject, kw_only=True):
    """How results are ranked."""

    ranker: Annotated[Literal["auto", "default-2024-11-15"] | UnsetType | None, doc("What ranks them.")] = UNSET
    score_threshold: Annotated[float | UnsetType | None, doc("Least score of a result.")] = UNSET
    hybrid_search: Annotated[HybridSearch | UnsetType | None, doc("How meaning and words are weighed.")] = UNSET


class HybridSearch(SharedObject, kw_only=True):
    """How meaning and words are weighed."""

    embedding_weight: Annotated[float, doc("Weight of the meaning.")]
    text_weight: Annotated[float, doc("Weight of the words.")]


class FileSearchTool(SharedObject, kw_only=True, tag_field="type", tag="file_search"):
    """Search in vector stores."""

    vector_store_ids: Annotated[list[str], doc("Where to search.")]
    max_num_results: Annotated[int | UnsetType | None, doc("Most results.")] = UNSET
    ranking_options: Annotated[RankingOptions | UnsetType | None, doc("How results are ranked.")] = UNSET
    filters: Annotated[Filter | UnsetType | None, doc("Which files or pages count.")] = UNSET


class ComputerTool(SharedObject, kw_only=True, tag_field="type", tag="computer"):
    """Use of a computer."""


class ComputerUsePreviewTool(SharedObject, kw_only=True, tag_field="type", tag="computer_use_preview"):
    """Use of a computer, in its first form."""

    environment: Annotated[Literal["windows", "mac", "linux", "ubuntu", "browser"], doc("Where it runs.")]
    display_width: Annotated[int, doc("Width of the screen, pixels.")]
    display_height: Annotated[int, doc("Height of the screen, pixels.")]


class WebSearchFilters(SharedObject, kw_only=True):
    """Where to search."""

    allowed_domains: Annotated[list[str] | UnsetType | None, doc("Hosts.")] = UNSET


class WebSearchLocation(SharedObject, kw_only=True):
    """Roughly where the user is."""

    type: Annotated[Literal["approximate"], doc("Always `approximate`.")] = "approximate"
    country: Annotated[str | UnsetType | None, doc("Two-letter country code.")] = UNSET
    region: Annotated[str | UnsetType | None, doc("Region or state.")] = UNSET
    city: Annotated[str | UnsetType | None, doc("City.")] = UNSET
    timezone: Annotated[str | UnsetType | None, doc("IANA time zone.")] = UNSET


class WebSearchTool(SharedObject, kw_only=True, tag_field="type", tag="web_search"):
    """Search in the web."""

    external_web_access: Annotated[
        bool | UnsetType | None, doc("Whether pages are fetched, or only known ones are used.")
    ] = UNSET
    filters: Annotated[WebSearchFilters | UnsetType | None, doc("Which files or pages count.")] = UNSET
    user_location: Annotated[WebSearchLocation | UnsetType | None, doc("Where the user is.")] = UNSET
    search_context_size: Annotated[
        Literal["low", "medium", "high"] | UnsetType | None, doc("How much of the pages to read.")
    ] = UNSET


class WebSearchToolDated(WebSearchTool, kw_only=True, tag="web_search_2025_08_26"):
    """Search in the web, by the name of its version."""


class ApproximateLocation(SharedObject, kw_only=True, tag_field="type", tag="approximate"):
    """Roughly where the user is."""

    country: Annotated[str | UnsetType | None, doc("Two-letter country code.")] = UNSET
    region: Annotated[str | UnsetType | None, doc("Region or state.")] = UNSET
    city: Annotated[str | UnsetType | None, doc("City.")] = UNSET
    timezone: Annotated[str | UnsetType | None, doc("IANA time zone.")] = UNSET


class WebSearchPreviewTool(SharedObject, kw_only=True, tag_field="type", tag="web_search_preview"):
    """Search in the web, in its first form."""

    user_location: Annotated[ApproximateLocation | UnsetType | None, doc("Where the user is.")] = UNSET
    search_context_size: Annotated[
        Literal["low", "medium", "high"] | UnsetType | None, doc("How much of the pages to read.")
    ] = UNSET
    search_content_types: Annotated[list[Literal["text", "image"]] | UnsetType | None, doc("What to look for.")] = UNSET


class WebSearchPreviewToolDated(WebSearchPreviewTool, kw_only=True, tag="web_search_preview_2025_03_11"):
    """Search in the web, in its first form, by the name of its version."""


class MCPToolFilter(SharedObject, kw_only=True):
    """Some tools of a server."""

    tool_names: Annotated[list[str] | UnsetType | None, doc("Tools by name.")] = UNSET
    read_only: Annotated[bool | UnsetType | None, doc("Tools that say they change nothing.")] = UNSET


class MCPApprovalFilter(SharedObject, kw_only=True):
    """Which calls need the approval of the user."""

    always: Annotated[MCPToolFilter | UnsetType | None, doc("Calls that need approval.")] = UNSET
    never: Annotated[MCPToolFilter | UnsetType | None, doc("Calls that do not.")] = UNSET


class MCPServer(SharedObject, kw_only=True, tag_field="type", tag="mcp"):
    """Tools of a server that speaks the Model Context Protocol."""

    server_label: Annotated[str, doc("Name of the server in this request.")]
    server_url: Annotated[str | UnsetType | None, doc("Where the server is.")] = UNSET
    connector_id: Annotated[
        Literal[
            "connector_dropbox",
            "connector_gmail",
            "connector_googlecalendar",
            "connector_googledrive",
            "connector_microsoftteams",
            "connector_outlookcalendar",
            "connector_outlookemail",
            "connector_sharepoint",
        ]
        | UnsetType
        | None,
        doc("A service's own connector instead of a server."),
    ] = UNSET
    tunnel_id: Annotated[
        Annotated[str, Meta(pattern=r"^tunnel_[a-z0-9]{32}$")] | UnsetType | None, doc("A tunnel to the server.")
    ] = UNSET
    authorization: Annotated[str | UnsetType | None, doc("Token for the server; never stored.")] = UNSET
    server_description: Annotated[str | UnsetType | None, doc("What the server is for: the model reads this.")] = UNSET
    headers: Annotated[dict[str, str] | UnsetType | None, doc("Headers for the server; never stored.")] = UNSET
    allowed_tools: Annotated[
        list[str] | MCPToolFilter | UnsetType | None, doc("Which of its tools the model may see.")
    ] = UNSET
    allowed_callers: SomeAllowedCallers | UnsetType | None = UNSET
    require_approval: Annotated[
        MCPApprovalFilter | Literal["always", "never"] | UnsetType | None,
        doc("Which calls the user has to allow first. Defaults to always."),
    ] = UNSET
    defer_loading: DeferLoading | UnsetType | None = UNSET


class NetworkDisabled(SharedObject, kw_only=True, tag_field="type", tag="disabled"):
    """No network."""


class DomainSecret(SharedObject, kw_only=True):
    """A secret for one host."""

    domain: Annotated[Annotated[str, Meta(min_length=1)], doc("The host.")]
    name: Annotated[Annotated[str, Meta(min_length=1)], doc("Its name.")]
    value: Annotated[Annotated[str, Meta(min_length=1, max_length=10485760)], doc("The secret.")]


class NetworkAllowlist(SharedObject, kw_only=True, tag_field="type", tag="allowlist"):
    """Some hosts only."""

    allowed_domains: Annotated[Annotated[list[str], Meta(min_length=1)], doc("Hosts.")]
    domain_secrets: Annotated[
        Annotated[list[DomainSecret], Meta(min_length=1)] | UnsetType | None, doc("Secrets for hosts.")
    ] = UNSET


class AutoContainer(SharedObject, kw_only=True, tag_field="type", tag="auto"):
    """A container made when it is needed."""

    file_ids: Annotated[
        Annotated[list[str], Meta(max_length=50)] | UnsetType | None, doc("Uploaded files to put into it.")
    ] = UNSET
    memory_limit: Annotated[Literal["1g", "4g", "16g", "64g"] | UnsetType | None, doc("Its memory.")] = UNSET
    network_policy: Annotated[
        NetworkDisabled | NetworkAllowlist | UnsetType | None, doc("What it reaches of the network.")
    ] = UNSET


class CodeInterpreterTool(SharedObject, kw_only=True, tag_field="type", tag="code_interpreter"):
    """Python in a container."""

    container: Annotated[str | AutoContainer, doc("Id of a container of yours, or how to make one.")]
    allowed_callers: SomeAllowedCallers | UnsetType | None = UNSET


class ProgrammaticToolCalling(SharedObject, kw_only=True, tag_field="type", tag="programmatic_tool_calling"):
    """Programs of the model that call tools."""


class ImageMask(SharedObject, kw_only=True):
    """The part of an image to make anew."""

    image_url: ImageURL | UnsetType | None = UNSET
    file_id: FileId | UnsetType | None = UNSET


class ImageGenerationTool(SharedObject, kw_only=True, tag_field="type", tag="image_generation"):
    """Making of images."""

    model: Annotated[str | UnsetType | None, doc("The model that makes it.")] = UNSET
    quality: Annotated[Literal["low", "medium", "high", "auto"] | UnsetType | None, doc("Quality of the image.")] = (
        UNSET
    )
    size: Annotated[str | UnsetType | None, doc("Size of the image.")] = UNSET
    output_format: Annotated[Literal["png", "webp", "jpeg"] | UnsetType | None, doc("Format of the image.")] = UNSET
    output_compression: Annotated[
        Annotated[int, Meta(ge=0, le=100)] | UnsetType | None, doc("Compression in percent.")
    ] = UNSET
    moderation: Annotated[Literal["auto", "low"] | UnsetType | None, doc("How strictly images are judged.")] = UNSET
    background: Annotated[
        Literal["transparent", "opaque", "auto"] | UnsetType | None, doc("What is behind the image.")
    ] = UNSET
    input_fidelity: Annotated[
        Literal["high", "low"] | UnsetType | None, doc("How closely to keep to the images given.")
    ] = UNSET
    input_image_mask: Annotated[ImageMask | UnsetType | None, doc("The part to make anew.")] = UNSET
    partial_images: Annotated[
        Annotated[int, Meta(ge=0, le=3)] | UnsetType | None, doc("How many unfinished images to stream.")
    ] = UNSET
    action: Annotated[
        Literal["generate", "edit", "auto"] | UnsetType | None, doc("Whether to make or change an image.")
    ] = UNSET


class LocalShellTool(SharedObject, kw_only=True, tag_field="type", tag="local_shell"):
    """The shell of the caller, in its first form."""


class SkillReference(SharedObject, kw_only=True, tag_field="type", tag="skill_reference"):
    """A stored skill."""

    skill_id: Annotated[Annotated[str, Meta(min_length=1, max_length=64)], doc("Id of the skill.")]
    version: Annotated[str | UnsetType | None, doc("Version of the skill.")] = UNSET


class SkillSource(SharedObject, kw_only=True, tag_field="type", tag="base64"):
    """The files of a skill."""

    media_type: Annotated[Literal["application/zip"], doc("Kind of the file.")]
    data: Annotated[Annotated[str, Meta(min_length=1, max_length=70254592)], doc("The file, in base64.")]


class InlineSkill(SharedObject, kw_only=True, tag_field="type", tag="inline"):
    """A skill, sent along."""

    name: Annotated[str, doc("Its name.")]
    description: Description
    source: Annotated[SkillSource, doc("Its files.")]


class LocalSkill(SharedObject, kw_only=True):
    """A skill on the caller's machine."""

    name: Annotated[str, doc("Its name.")]
    description: Description
    path: Annotated[str, doc("Where.")]


class ShellAutoContainer(SharedObject, kw_only=True, tag_field="type", tag="container_auto"):
    """A container made when it is needed."""

    file_ids: Annotated[
        Annotated[list[str], Meta(max_length=50)] | UnsetType | None, doc("Uploaded files to put into it.")
    ] = UNSET
    memory_limit: Annotated[Literal["1g", "4g", "16g", "64g"] | UnsetType | None, doc("Its memory.")] = UNSET
    network_policy: Annotated[
        NetworkDisabled | NetworkAllowlist | UnsetType | None, doc("What it reaches of the network.")
    ] = UNSET
    skills: Annotated[
        Annotated[list[SkillReference | InlineSkill], Meta(max_length=200)] | UnsetType | None,
        doc("Skills to have there."),
    ] = UNSET


class ShellLocal(SharedObject, kw_only=True, tag_field="type", tag="local"):
    """The caller's machine."""

    skills: Annotated[
        Annotated[list[LocalSkill], Meta(max_length=200)] | UnsetType | None, doc("Skills to have there.")
    ] = UNSET


class ShellContainer(SharedObject, kw_only=True, tag_field="type", tag="container_reference"):
    """A container of yours."""

    container_id: Annotated[str, doc("Id of the container.")]


class ShellTool(SharedObject, kw_only=True, tag_field="type", tag="shell"):
    """A shell."""

    environment: Annotated[
        ShellAutoContainer | ShellLocal | ShellContainer | UnsetType | None, doc("Where it runs.")
    ] = UNSET
    allowed_callers: SomeAllowedCallers | UnsetType | None = UNSET


class ToolSearchTool(SharedObject, kw_only=True, tag_field="type", tag="tool_search"):
    """Search for tools that are loaded when needed."""

    execution: Annotated[Literal["server", "client"] | UnsetType | None, doc("Who runs the search.")] = UNSET
    description: Description | UnsetType | None = UNSET
    parameters: Annotated[dict[str, Any] | UnsetType | None, doc("JSON Schema of the search.")] = UNSET


class ApplyPatchTool(SharedObject, kw_only=True, tag_field="type", tag="apply_patch"):
    """Patches for files."""

    allowed_callers: SomeAllowedCallers | UnsetType | None = UNSET
