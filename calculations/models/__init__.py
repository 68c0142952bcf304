"""What is stored about calculations; one file per subject."""

from calculations.models.calculation import Calculation
from calculations.models.event import Event
from calculations.models.file import InputFile, OutputFile
from calculations.models.filter import SavedFilter
from calculations.models.result import AnalysisResult, Dataset, OrphanResult, Quantity
from calculations.models.run import Attempt, Run
from calculations.models.settings import LabSettings

__all__ = [
    "AnalysisResult",
    "Attempt",
    "Calculation",
    "Dataset",
    "Event",
    "InputFile",
    "LabSettings",
    "OrphanResult",
    "OutputFile",
    "Quantity",
    "Run",
    "SavedFilter",
]
