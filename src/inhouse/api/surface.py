"""The faces whose operations make up the API."""

from inhouse.api.assistants.routes import Assistants, Runs, Threads
from inhouse.api.audio.routes import Audio
from inhouse.api.batches.routes import Batches
from inhouse.api.chat.routes import Chat
from inhouse.api.completions.routes import Completions
from inhouse.api.conversations.routes import Conversations
from inhouse.api.embeddings.routes import Embeddings
from inhouse.api.files.routes import FilesFace
from inhouse.api.models.routes import Models
from inhouse.api.moderations.routes import Moderations
from inhouse.api.organization.faces import FACES as ORGANIZATION
from inhouse.api.responses.routes import Responses
from inhouse.api.responses.socket import ResponsesSocket
from inhouse.api.uploads.routes import UploadsFace
from inhouse.api.vector_stores.routes import VectorStoresFace
from inhouse.api.webhooks.routes import WebhookEndpoints
from inhouse.api.webhooks.wire import EVENTS as WEBHOOKS

__all__ = ["FACES", "SOCKETS", "WEBHOOKS"]

SOCKETS = (ResponsesSocket,)
FACES = (
    Chat,
    Responses,
    Conversations,
    Completions,
    Assistants,
    Threads,
    Runs,
    Embeddings,
    Moderations,
    Audio,
    FilesFace,
    Batches,
    UploadsFace,
    VectorStoresFace,
    Models,
    WebhookEndpoints,
    *ORGANIZATION,
)
