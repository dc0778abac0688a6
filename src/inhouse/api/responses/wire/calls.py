"""What calls of tools are made of: actions, places, outcomes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from inhouse.api.responses.wire.base import Description, FileId, ImageURL, SharedObject
from inhouse.api.wire import doc


class DirectCaller(SharedObject, kw_only=True, tag_field="type", tag="direct"):
    """The model itself made the call."""


class ProgramCaller(SharedObject, kw_only=True, tag_field="type", tag="program"):
    """A program that the model wrote made the call."""

    caller_id: Annotated[str, doc("Id of the program's call.")]


class Click(SharedObject, kw_only=True, tag_field="type", tag="click"):
    """Press a button of the mouse."""

    button: Annotated[Literal["left", "right", "wheel", "back", "forward"], doc("The button.")]
    x: Annotated[int, doc("From the left, pixels.")]
    y: Annotated[int, doc("From the top, pixels.")]
    keys: Annotated[list[str] | UnsetType | None, doc("Keys held or pressed.")] = UNSET


class DoubleClick(SharedObject, kw_only=True, tag_field="type", tag="double_click"):
    """Press a button of the mouse twice."""

    x: Annotated[int, doc("From the left, pixels.")]
    y: Annotated[int, doc("From the top, pixels.")]
    keys: Annotated[list[str] | None, doc("Keys held or pressed.")]


class Point(SharedObject, kw_only=True):
    """A place on the screen."""

    x: Annotated[int, doc("From the left, pixels.")]
    y: Annotated[int, doc("From the top, pixels.")]


class Drag(SharedObject, kw_only=True, tag_field="type", tag="drag"):
    """Drag along a path."""

    path: Annotated[list[Point], doc("The places on the way.")]
    keys: Annotated[list[str] | UnsetType | None, doc("Keys held or pressed.")] = UNSET


class KeyPress(SharedObject, kw_only=True, tag_field="type", tag="keypress"):
    """Press keys."""

    keys: Annotated[list[str], doc("Keys held or pressed.")]


class Move(SharedObject, kw_only=True, tag_field="type", tag="move"):
    """Move the pointer."""

    x: Annotated[int, doc("From the left, pixels.")]
    y: Annotated[int, doc("From the top, pixels.")]
    keys: Annotated[list[str] | UnsetType | None, doc("Keys held or pressed.")] = UNSET


class Screenshot(SharedObject, kw_only=True, tag_field="type", tag="screenshot"):
    """Take a picture of the screen."""


class Scroll(SharedObject, kw_only=True, tag_field="type", tag="scroll"):
    """Turn the wheel."""

    x: Annotated[int, doc("From the left, pixels.")]
    y: Annotated[int, doc("From the top, pixels.")]
    scroll_x: Annotated[int, doc("Distance to the right, pixels.")]
    scroll_y: Annotated[int, doc("Distance down, pixels.")]
    keys: Annotated[list[str] | UnsetType | None, doc("Keys held or pressed.")] = UNSET


class Type(SharedObject, kw_only=True, tag_field="type", tag="type"):
    """Type text."""

    text: Annotated[str, doc("The text.")]


class Wait(SharedObject, kw_only=True, tag_field="type", tag="wait"):
    """Do nothing for a moment."""


class SafetyCheck(SharedObject, kw_only=True):
    """A doubt about an action that somebody has to lift."""

    id: Annotated[str, doc("Id of the doubt.")]
    code: Annotated[str | UnsetType | None, doc("Kind of doubt.")] = UNSET
    message: Annotated[str | UnsetType | None, doc("The doubt in words.")] = UNSET


class ScreenshotImage(SharedObject, kw_only=True, tag_field="type", tag="computer_screenshot"):
    """A picture of a screen."""

    image_url: ImageURL | UnsetType | None = UNSET
    file_id: FileId | UnsetType | None = UNSET


class WebSource(SharedObject, kw_only=True, tag_field="type", tag="url"):
    """A page that was read."""

    url: Annotated[str, doc("The address.")]


class WebSearch(SharedObject, kw_only=True, tag_field="type", tag="search"):
    """A search."""

    query: Annotated[str | UnsetType | None, doc("What was looked for.")] = UNSET
    queries: Annotated[list[str] | UnsetType | None, doc("What was looked for.")] = UNSET
    sources: Annotated[list[WebSource] | UnsetType | None, doc("Pages that were read, where they were asked for.")] = (
        UNSET
    )


class WebOpenPage(SharedObject, kw_only=True, tag_field="type", tag="open_page"):
    """A page opened."""

    url: Annotated[str | UnsetType | None, doc("The address.")] = UNSET


class WebFindInPage(SharedObject, kw_only=True, tag_field="type", tag="find_in_page"):
    """A text looked for on a page."""

    url: Annotated[str, doc("The address.")]
    pattern: Annotated[str, doc("The text looked for.")]


class CodeLogs(SharedObject, kw_only=True, tag_field="type", tag="logs"):
    """What the code printed."""

    logs: Annotated[str, doc("The text.")]


class CodeImage(SharedObject, kw_only=True, tag_field="type", tag="image"):
    """An image that the code made."""

    url: Annotated[str, doc("The address.")]


class LocalShellExec(SharedObject, kw_only=True, tag_field="type", tag="exec"):
    """A command for the shell of the caller."""

    command: Annotated[list[str], doc("The command and its arguments.")]
    env: Annotated[dict[str, str], doc("Variables of the environment.")]
    timeout_ms: Annotated[int | UnsetType | None, doc("Longest time, milliseconds.")] = UNSET
    working_directory: Annotated[str | UnsetType | None, doc("Folder to run it in.")] = UNSET
    user: Annotated[str | UnsetType | None, doc("Account that runs it.")] = UNSET


class ShellAction(SharedObject, kw_only=True):
    """Commands for a shell."""

    commands: Annotated[list[str], doc("The commands.")]
    timeout_ms: Annotated[int | None, doc("Longest time, milliseconds.")]
    max_output_length: Annotated[int | None, doc("Most characters of the output.")]


class ShellTimeout(SharedObject, kw_only=True, tag_field="type", tag="timeout"):
    """The commands took too long."""


class ShellExit(SharedObject, kw_only=True, tag_field="type", tag="exit"):
    """The commands ended."""

    exit_code: Annotated[int, doc("The exit code.")]


class ShellOutput(SharedObject, kw_only=True):
    """What one command gave."""

    stdout: Annotated[str, doc("Text of the output.")]
    stderr: Annotated[str, doc("Text of the error output.")]
    outcome: Annotated[ShellTimeout | ShellExit, doc("How it ended.")]
    created_by: Annotated[str | UnsetType | None, doc("Who made the item.")] = UNSET


class LocalShellPlace(SharedObject, kw_only=True, tag_field="type", tag="local"):
    """The caller's machine."""


class ContainerShellPlace(SharedObject, kw_only=True, tag_field="type", tag="container_reference"):
    """A container."""

    container_id: Annotated[str, doc("Id of the container.")]


class PatchCreateFile(SharedObject, kw_only=True, tag_field="type", tag="create_file"):
    """Create a file."""

    path: Annotated[str, doc("Where.")]
    diff: Annotated[str, doc("The change, as a patch.")]


class PatchDeleteFile(SharedObject, kw_only=True, tag_field="type", tag="delete_file"):
    """Delete a file."""

    path: Annotated[str, doc("Where.")]


class PatchUpdateFile(SharedObject, kw_only=True, tag_field="type", tag="update_file"):
    """Change a file."""

    path: Annotated[str, doc("Where.")]
    diff: Annotated[str, doc("The change, as a patch.")]


class MCPTool(SharedObject, kw_only=True):
    """A tool that a server offers."""

    name: Annotated[str, doc("Its name.")]
    input_schema: Annotated[dict[str, Any], doc("JSON Schema of the arguments.")]
    description: Description | UnsetType | None = UNSET
    annotations: Annotated[dict[str, Any] | UnsetType | None, doc("What the server says of the tool.")] = UNSET


class MCPProtocolError(SharedObject, kw_only=True, tag_field="type", tag="mcp_protocol_error"):
    """The server broke the protocol, or refused the call by it."""

    code: Annotated[int, doc("Number of the error.")]
    message: Annotated[str, doc("What went wrong, in words.")]


class MCPExecutionError(SharedObject, kw_only=True, tag_field="type", tag="mcp_tool_execution_error"):
    """The tool failed."""

    content: Annotated[Any, doc("The content.")]


class MCPHTTPError(SharedObject, kw_only=True, tag_field="type", tag="http_error"):
    """The server could not be reached."""

    code: Annotated[int, doc("HTTP status.")]
    message: Annotated[str, doc("What went wrong, in words.")]


ToolCaller = DirectCaller | ProgramCaller
MCPError = MCPProtocolError | MCPExecutionError | MCPHTTPError
ComputerAction = Click | DoubleClick | Drag | KeyPress | Move | Screenshot | Scroll | Type | Wait
