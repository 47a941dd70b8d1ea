"""The CIFAR-10 study of the capstone: six variants, several seeds, one report with error bars.

`run` trains what is missing, `pace` measures how fast each variant trains, `report` shows what is
there, `load_report` shows a committed summary. What is compared, and how fairly, is told in
`coursekit.experiments.study.variants`.
"""

from __future__ import annotations

from coursekit.experiments.study.jobs import DataInfo, Job, StudyError, Trainer
from coursekit.experiments.study.pacing import pace
from coursekit.experiments.study.records import DamagedRecordError
from coursekit.experiments.study.reporting import Report, load_records, load_report, report
from coursekit.experiments.study.runner import run
from coursekit.experiments.study.variants import PROFILES, VARIANTS, Budget, Variant

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
    "pace",
    "report",
    "run",
]
