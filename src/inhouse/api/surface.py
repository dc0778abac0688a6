"""The faces whose operations make up the API."""

from inhouse.api.chat.routes import Chat
from inhouse.api.completions.routes import Completions
from inhouse.api.models.routes import Models
from inhouse.api.organization.faces import FACES as ORGANIZATION

FACES = (Chat, Completions, Models, *ORGANIZATION)
