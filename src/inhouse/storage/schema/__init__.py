"""The tables.

Conventions, everywhere: times are BIGINT Unix **microseconds** (``created_at`` and the like), ids are text with the
official prefixes, JSON is text holding what msgspec encoded. Money is BIGINT nano-dollars (``*_nanos``).

The schema is portable between SQLite and PostgreSQL; a migration in ``storage.migrations`` brings each database to it.
"""

from __future__ import annotations

from inhouse.storage.schema.base import metadata as metadata
from inhouse.storage.schema.content import files as files
from inhouse.storage.schema.content import upload_parts as upload_parts
from inhouse.storage.schema.content import uploads as uploads
from inhouse.storage.schema.content import vector_store_batches as vector_store_batches
from inhouse.storage.schema.content import vector_store_chunks as vector_store_chunks
from inhouse.storage.schema.content import vector_store_files as vector_store_files
from inhouse.storage.schema.content import vector_store_segments as vector_store_segments
from inhouse.storage.schema.content import vector_stores as vector_stores
from inhouse.storage.schema.conversation import assistants as assistants
from inhouse.storage.schema.conversation import conversation_turns as conversation_turns
from inhouse.storage.schema.conversation import conversations as conversations
from inhouse.storage.schema.conversation import prompt_versions as prompt_versions
from inhouse.storage.schema.conversation import prompts as prompts
from inhouse.storage.schema.conversation import response_events as response_events
from inhouse.storage.schema.conversation import response_items as response_items
from inhouse.storage.schema.conversation import responses as responses
from inhouse.storage.schema.conversation import stored_completions as stored_completions
from inhouse.storage.schema.conversation import thread_messages as thread_messages
from inhouse.storage.schema.conversation import thread_run_events as thread_run_events
from inhouse.storage.schema.conversation import thread_run_steps as thread_run_steps
from inhouse.storage.schema.conversation import thread_runs as thread_runs
from inhouse.storage.schema.conversation import threads as threads
from inhouse.storage.schema.money import calls as calls
from inhouse.storage.schema.money import credit_grants as credit_grants
from inhouse.storage.schema.money import engine_counts as engine_counts
from inhouse.storage.schema.money import enqueued_batches as enqueued_batches
from inhouse.storage.schema.money import instances as instances
from inhouse.storage.schema.money import organization_tiers as organization_tiers
from inhouse.storage.schema.money import project_limits as project_limits
from inhouse.storage.schema.money import spend_accounts as spend_accounts
from inhouse.storage.schema.money import spend_alert_events as spend_alert_events
from inhouse.storage.schema.money import spend_alerts as spend_alerts
from inhouse.storage.schema.money import unsettled as unsettled
from inhouse.storage.schema.money import usage_rollups as usage_rollups
from inhouse.storage.schema.money import usage_series as usage_series
from inhouse.storage.schema.money import usage_totals as usage_totals
from inhouse.storage.schema.tenants import active_certificates as active_certificates
from inhouse.storage.schema.tenants import api_keys as api_keys
from inhouse.storage.schema.tenants import audit_logs as audit_logs
from inhouse.storage.schema.tenants import certificates as certificates
from inhouse.storage.schema.tenants import console_sessions as console_sessions
from inhouse.storage.schema.tenants import group_users as group_users
from inhouse.storage.schema.tenants import groups as groups
from inhouse.storage.schema.tenants import invites as invites
from inhouse.storage.schema.tenants import organizations as organizations
from inhouse.storage.schema.tenants import policies as policies
from inhouse.storage.schema.tenants import project_users as project_users
from inhouse.storage.schema.tenants import projects as projects
from inhouse.storage.schema.tenants import role_assignments as role_assignments
from inhouse.storage.schema.tenants import roles as roles
from inhouse.storage.schema.tenants import secrets as secrets
from inhouse.storage.schema.tenants import service_accounts as service_accounts
from inhouse.storage.schema.tenants import sign_in_failures as sign_in_failures
from inhouse.storage.schema.tenants import sign_in_links as sign_in_links
from inhouse.storage.schema.tenants import user_identities as user_identities
from inhouse.storage.schema.tenants import user_passwords as user_passwords
from inhouse.storage.schema.tenants import users as users
from inhouse.storage.schema.work import batch_results as batch_results
from inhouse.storage.schema.work import batches as batches
from inhouse.storage.schema.work import bindings as bindings
from inhouse.storage.schema.work import evaluations as evaluations
from inhouse.storage.schema.work import jobs as jobs
from inhouse.storage.schema.work import webhook_deliveries as webhook_deliveries
from inhouse.storage.schema.work import webhook_endpoints as webhook_endpoints
