"""`python -m web.api >docs/openapi.json`: the document of the REST interface, as it is committed; it starts no server."""

from __future__ import annotations

import json
import sys

from flask import Flask

from web import addresses
from web.api import api
from web.openapi import document

app = Flask("web")
addresses.install(app)
app.register_blueprint(api)
json.dump(document(app), sys.stdout, indent=2)
sys.stdout.write("\n")
