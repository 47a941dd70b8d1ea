"""What a running notebook tells about itself, asked silently by whoever executes it."""

from __future__ import annotations

import json
import sys
from dataclasses import astuple

from coursekit.base.machine import peak_mb

QUESTION = f"__import__({__name__!r}, fromlist=['facts']).facts()"


def facts() -> str:
    """Return as JSON: `data` (name to source), `checks` (name to outcome), `claims`, `peak_mb`.

    `claims` are those of `ck.prove`, each as [sentence, whether it holds, numbers].

    Only modules that the notebook itself has imported are asked, so that nothing more is loaded.

    >>> sorted(json.loads(facts()))
    ['checks', 'claims', 'data', 'peak_mb']
    """
    lesson = sys.modules.get("coursekit.lesson")
    datasets, checks = sys.modules.get("coursekit.datasets"), sys.modules.get("coursekit.checks")
    return json.dumps(
        {
            "data": dict(datasets.used()) if datasets else {},
            "checks": dict(checks.passed()) if checks else {},
            "claims": [list(astuple(claim)) for claim in lesson.proved()] if lesson else [],
            "peak_mb": peak_mb(),
        }
    )
