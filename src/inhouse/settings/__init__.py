"""The settings, where they come from, and what they mean.

Weakest to strongest: the defaults below, a TOML file, the environment, the command line. The file is the one that
``INHOUSE_CONFIG`` names, or ``inhouse.toml`` in the data folder if there is one. One rule gives a setting its names::

    in the file         [server]            data_dir = "…"
                        port = 4141
    in the environment  INHOUSE_SERVER__PORT=4141     INHOUSE_DATA_DIR=…

that is: ``INHOUSE_``, the section and two underscores if it is in one, the name, in capitals. An empty variable counts
as absent. Lists are written with commas. A name that does not exist is an error, wherever it stands.
"""

from __future__ import annotations

from inhouse.settings.reading import FIELDS as FIELDS
from inhouse.settings.reading import Field as Field
from inhouse.settings.reading import load as load
from inhouse.settings.reading import portable as portable
from inhouse.settings.reading import restored as restored
from inhouse.settings.sections import ConsoleSettings as ConsoleSettings
from inhouse.settings.sections import Engines as Engines
from inhouse.settings.sections import LimitSettings as LimitSettings
from inhouse.settings.sections import Log as Log
from inhouse.settings.sections import MCPSettings as MCPSettings
from inhouse.settings.sections import Secret as Secret
from inhouse.settings.sections import Settings as Settings
from inhouse.settings.sections import SettingsError as SettingsError
