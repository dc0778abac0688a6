"""The audit log over HTTP."""

from __future__ import annotations

from inhouse.api.operation import Request, operation
from inhouse.api.organization.audit import wire
from inhouse.api.organization.audit.service import AuditLogService
from inhouse.kit.errors import NotFound


class AuditLogs:
    def __init__(self, service: AuditLogService) -> None:
        self._service = service

    @operation("GET", "/organization/audit_logs", id="list-audit-logs", tag="Audit Logs", errors=(NotFound,))
    async def list(self, request: Request, query: wire.ListAuditLogsQuery) -> wire.AuditLogList:
        """List administrative changes, newest first."""
        return await self._service.list(request.caller, query)
