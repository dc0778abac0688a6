"""The faces whose operations make up the API."""

from inhouse.api.chat.routes import Chat
from inhouse.api.completions.routes import Completions
from inhouse.api.conversations.routes import Conversations
from inhouse.api.embeddings.routes import Embeddings
from inhouse.api.models.routes import Models
from inhouse.api.moderations.routes import Moderations
from inhouse.api.organization.faces import FACES as ORGANIZATION
from inhouse.api.responses.routes import Responses

FACES = (Chat, Responses, Conversations, Completions, Embeddings, Moderations, Models, *ORGANIZATION)
