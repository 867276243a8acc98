#!/usr/bin/env python3
"""Prints what libws is made of and needs, as CycloneDX 1.5 in JSON.

    sbom.py > libws.cdx.json

The versions are those that pkg-config finds here, which are those that a build here
is linked with. Nothing else goes into libws: no code of others is in its tree.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import uuid
from datetime import datetime, timezone

ROOT = pathlib.Path(__file__).resolve().parent.parent

# Name, what pkg-config calls it, licence, whether libws is built without it too,
# and what it is for.
LIBRARIES = [
    ("openssl", "openssl", "Apache-2.0", True, "TLS"),
    ("zlib", "zlib", "Zlib", False, "permessage-deflate"),
    ("libidn2", "libidn2", "LGPL-3.0-or-later OR GPL-2.0-or-later", True, "international host names"),
]


def version():
    text = (ROOT / "libws/include/ws/base.h").read_text()
    return ".".join(re.findall(r"^#define WS_VERSION_\w+ (\d+)", text, re.MULTILINE))


def version_of(package):
    run = subprocess.run(
        ["pkg-config", "--modversion", package], capture_output=True, text=True, check=False
    )
    return run.stdout.strip() if run.returncode == 0 else None


def component(name, package, licence, is_optional, purpose):
    found = version_of(package)
    one = {
        "type": "library",
        "bom-ref": f"pkg:generic/{name}" + (f"@{found}" if found else ""),
        "name": name,
        "scope": "optional" if is_optional else "required",
        "description": purpose,
        "licenses": [{"expression": licence}],
    }
    if found:
        one.update(version=found, purl=one["bom-ref"])
    return one


def document():
    reference = f"pkg:generic/libws@{version()}"
    libraries = [component(*library) for library in LIBRARIES]
    # The same document for the same content and time.
    content = json.dumps([reference, libraries])
    made = int(os.environ.get("SOURCE_DATE_EPOCH", datetime.now(timezone.utc).timestamp()))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(made, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "library",
                "bom-ref": reference,
                "name": "libws",
                "version": version(),
                "licenses": [{"license": {"id": "MIT"}}],
                "purl": reference,
            },
        },
        "components": libraries,
        "dependencies": [
            {"ref": reference, "dependsOn": [library["bom-ref"] for library in libraries]}
        ],
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    print()
