from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"

# Appended, so that nothing here hides an installed module. `coverage` has such a namesake: it gets another name.
sys.path += [str(SCRIPTS), str(Path(__file__).parent)]
spec = importlib.util.spec_from_file_location("coverage_score", SCRIPTS / "coverage.py")
assert spec is not None
assert spec.loader is not None
module = importlib.util.module_from_spec(spec)
sys.modules["coverage_score"] = module
spec.loader.exec_module(module)
