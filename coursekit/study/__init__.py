"""The CIFAR-10 study of the capstone: five variants, several seeds, one report with error bars.

`run` trains what is missing, `report` shows what is there, `load_report` shows a committed
summary. What is compared, and how fairly, is told in `coursekit.study.variants`.
"""

from __future__ import annotations

from coursekit.study.jobs import DataInfo, Job, Trainer
from coursekit.study.records import DamagedRecordError, StudyError
from coursekit.study.reporting import Report, load_records, load_report, report
from coursekit.study.runner import run
from coursekit.study.variants import PROFILES, VARIANTS, Budget, Variant

__all__ = [
    "PROFILES",
    "VARIANTS",
    "Budget",
    "DamagedRecordError",
    "DataInfo",
    "Job",
    "Report",
    "StudyError",
    "Trainer",
    "Variant",
    "load_records",
    "load_report",
    "report",
    "run",
]
