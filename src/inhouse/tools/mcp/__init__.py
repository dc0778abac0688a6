"""Tools of servers that speak the Model Context Protocol."""

from inhouse.tools.mcp.items import ApprovedCall as ApprovedCall
from inhouse.tools.mcp.items import ServerTool as ServerTool
from inhouse.tools.mcp.names import seen_name as seen_name
from inhouse.tools.mcp.server import Approval as Approval
from inhouse.tools.mcp.server import Bounds as Bounds
from inhouse.tools.mcp.server import Server as Server
from inhouse.tools.mcp.server import ToolFilter as ToolFilter
from inhouse.tools.mcp.tool import MCP as MCP
