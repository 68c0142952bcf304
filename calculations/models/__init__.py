"""What is stored about calculations; one file per subject."""

from calculations.models.calculation import Calculation
from calculations.models.event import Event
from calculations.models.export import Export
from calculations.models.file import InputFile, OutputFile
from calculations.models.filter import SavedFilter
from calculations.models.pseudopotential import Pseudopotential
from calculations.models.result import AnalysisResult, Dataset, OrphanResult, Quantity
from calculations.models.run import Attempt, Run
from calculations.models.settings import LabSettings
from calculations.models.structure import Structure
from calculations.models.template import Template

__all__ = [
    "AnalysisResult",
    "Attempt",
    "Calculation",
    "Dataset",
    "Event",
    "Export",
    "InputFile",
    "LabSettings",
    "OrphanResult",
    "OutputFile",
    "Pseudopotential",
    "Quantity",
    "Run",
    "SavedFilter",
    "Structure",
    "Template",
]
