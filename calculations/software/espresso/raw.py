"""Raw input that a scientist adds: what the portal sets itself is refused by name and line."""

from __future__ import annotations

from calculations.software.espresso.namelists import Document, NamelistError, read

_OWNED = {
    "CONTROL": """
        calculation restart_mode prefix outdir wfcdir pseudo_dir disk_io verbosity tprnfor tstress
        nstep etot_conv_thr forc_conv_thr max_seconds""",
    "SYSTEM": """
        ibrav celldm a b c cosab cosac cosbc nat ntyp nbnd ecutwfc ecutrho input_dft tot_charge
        occupations smearing degauss nspin starting_magnetization tot_magnetization""",
    "ELECTRONS": """
        electron_maxstep scf_must_converge conv_thr mixing_beta mixing_mode diagonalization
        startingpot""",
    "IONS": "ion_dynamics",
    "CELL": "cell_dynamics press press_conv_thr cell_dofree",
}
OWNED = {name: frozenset(keys.split()) for name, keys in _OWNED.items()}
OWNED_CARDS = frozenset({"ATOMIC_SPECIES", "ATOMIC_POSITIONS", "K_POINTS", "CELL_PARAMETERS"})


def read_extra(text: str) -> Document:
    """Return the raw input. Raises NamelistError naming each refused keyword and line."""
    document = read(text)
    refused: list[tuple[int, str]] = []
    for namelist in document.namelists:
        owned = OWNED.get(namelist.name)
        if owned is None:
            known = ", ".join(f"&{name}" for name in OWNED)
            refused.append((namelist.line, f"&{namelist.name} is not used here; known are {known}"))
            continue
        refused += [
            (setting.line, f"{setting.key} is set by the portal; remove it here")
            for setting in namelist.settings
            if setting.name in owned
        ]
    refused += [
        (card.line, f"{card.name} is set by the portal; remove it here")
        for card in document.cards
        if card.name in OWNED_CARDS
    ]
    if refused:
        refused.sort()
        more = "".join(f"; line {line}: {reason}" for line, reason in refused[1:])
        raise NamelistError(refused[0][0], refused[0][1] + more)
    return document
