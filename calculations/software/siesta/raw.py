"""Raw fdf lines beside the form: keywords that the portal sets are refused by name and line.

In fdf the first of two wins, and nobody would notice.
"""

from __future__ import annotations

from calculations.software.siesta import fdf
from calculations.software.siesta.fdf import Entry, FdfError, normalise

_OWNED = """
Lua.Script Lua.Debug
SystemName SystemLabel NumberOfAtoms NumberOfSpecies ChemicalSpeciesLabel AtomicCoordinatesFormat
AtomicCoordinatesAndAtomicSpecies AtomicCoordinatesOrigin Zmatrix SuperCell LatticeConstant
LatticeVectors LatticeParameters NetCharge Spin SpinPolarized NonCollinearSpin SpinOrbit
Spin.Fix Spin.Total FixSpin TotalSpin DM.InitSpin DM.InitSpin.AF
MeshCutoff PAO.BasisSize PAO.BasisSizes PAO.Basis PAO.EnergyShift PAO.SplitNorm
XC.Functional XC.Authors XC.Mix XC.Hybrid
kgrid_Monkhorst_Pack kgrid.MonkhorstPack kgrid_cutoff kgrid.File
SCF.DM.Tolerance DM.Tolerance SCF.H.Tolerance SCF.Mix SCF.Mixer.Method SCF.Mixer.Weight
SCF.Mixer.History SCF.Mixer.Kick SCF.Mixer.Kick.Weight SCF.Mixers DM.MixingWeight DM.NumberPulay
DM.NumberBroyden DM.NumberKick DM.KickMixingWeight MaxSCFIterations
ElectronicTemperature OccupationFunction OccupationMPOrder
ExternalElectricField Slab.DipoleCorrection
MD.TypeOfRun MD.NumCGsteps MD.Steps MD.MaxForceTol MD.MaxStressTol MD.MaxCGDispl MD.MaxDispl
MD.VariableCell MD.TargetPressure MD.InitialTimeStep MD.FinalTimeStep MD.LengthTimeStep
MD.InitialTemperature MD.TargetTemperature MD.AnnealOption MD.TauRelax MD.NoseMass
MD.ParrinelloRahmanMass Geometry.Constraints GeometryConstraints
WriteMDHistory WriteMDXmol WriteCoorStep
MD.UseSaveXV MD.UseSaveCG MD.UseSaveZM UseSaveData UseStructFile DM.UseSaveDM
WriteForces WriteEigenvalues SCF.MustConverge GeometryMustConverge
BandLines BandLinesScale BandPoints ProjectedDensityOfStates
PDOS.kgrid_Monkhorst_Pack PDOS.kgrid.MonkhorstPack PDOS.kgrid_cutoff
WriteMullikenPop WriteHirshfeldPop WriteVoronoiPop
SolutionMethod TS.Voltage TS.HS.Save TS.Elecs TS.ChemPots TS.Contours.nEq
"""
OWNED = frozenset(normalise(label) for label in _OWNED.split())
# Blocks of TranSiesta that are named after an electrode or a contour.
OWNED_BEGINNINGS = ("tselec", "tschempot", "tscontour")


def is_owned(key: str) -> bool:
    return key in OWNED or key.startswith(OWNED_BEGINNINGS)


def read_extra(text: str) -> list[Entry]:
    """Return the raw lines as entries. Raises FdfError naming each refused keyword and line."""
    entries = list(fdf.read(text))
    refused = []
    for entry in entries:
        if entry.include:
            refused.append(
                (entry.line, f"reads the file {entry.include[:80]!r}; write its lines here instead")
            )
        elif is_owned(entry.key):
            refused.append((entry.line, f"{entry.label} is set by the portal; remove it here"))
    raise_all(refused)
    return entries


def raise_all(refused: list[tuple[int, str]]) -> None:
    """Raise one FdfError for all, none where there is nothing to refuse."""
    if refused:
        more = "".join(f"; line {line}: {reason}" for line, reason in refused[1:20])
        raise FdfError(refused[0][0], refused[0][1] + more)
