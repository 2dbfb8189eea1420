"""`python -m web.api >docs/openapi.json`: the document of the REST interface, as it is committed; it starts no server."""

from __future__ import annotations

import json
import sys

from web.api.document import standing_alone

json.dump(standing_alone(), sys.stdout, indent=2)
sys.stdout.write("\n")
