"""What the PDF says, and that nothing in it can break it."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from calculations.models import Calculation, Dataset, OutputFile, Quantity
from tests.calculations.factories import submitted

WITHOUT = """
import sys, django
django.setup()
import calculations.urls, calculations.api.urls, labportal.urls
heavy = {"matplotlib", "reportlab", "fontTools", "pyarrow", "rocrate"}
print(sorted(heavy & set(sys.modules)))
"""


def test_it_says_what_was_computed_and_whether_it_holds(water: Calculation, text_of: Any) -> None:
    text = text_of(water)
    assert "Water in an electric field" in text
    assert f"{water.number} · PySCF · Lab" in text
    assert "Valid since" in text
    assert "all 5 runs valid" in text
    assert "PySCF 2.14.0, as its output says" in text
    assert "made by ada" in text
    assert "SCF converged after 7 iterations." in text
    assert "Electric field, z: −0.01, −0.005, 0, 0.005, 0.01 a.u.; 5 runs, a chain" in text


def test_results_carry_units_and_the_digits_that_they_mean(
    water: Calculation, text_of: Any
) -> None:
    text = text_of(water)
    assert "Polarizability, zz: 6.525 ± 0.020 a.u." in text
    assert "Polarizability volume 0.966878 Å³" in text
    assert "Total energy / eV" in text  # an axis title
    assert "−2078.11930" in text
    assert "−2078.56348" in text
    assert "The same in all valid runs: Dipole, x: 0 Debye" in text


def test_results_of_some_runs_alone_say_so(water: Calculation, text_of: Any) -> None:
    water.runs.filter(index=4).update(state="not_valid", reason="SCF did not converge.")
    text = text_of(water)
    assert "From the 4 valid runs of 5 alone." in text
    assert "5: 0.01 a.u. Not valid SCF did not converge." in text
    assert "−2078.56348" not in text  # what is not valid is no result


def test_parameters_show_what_differs_from_the_default(water: Calculation, text_of: Any) -> None:
    text = text_of(water)
    assert "Functional PBE0 PBE" in text
    assert "Convergence of the energy 1 × 10⁻⁹ Ha" in text
    assert "Geometry / Å 3 water O 0.000 0.000 0.000" in text


def test_files_timeline_and_provenance_are_there(water: Calculation, text_of: Any) -> None:
    text = text_of(water)
    digest = OutputFile.objects.filter(run__calculation=water).first().sha256
    assert digest in text.replace(" ", "")
    assert "approved by rule" in text
    assert "Run 5: valid agent tesla-1" in text
    assert "Analysis: Polarizability version 2, over all valid runs input" in text
    assert "Labportal 0.1.0" in text


def test_pages_are_numbered_and_name_the_calculation(water: Calculation, printed: Any) -> None:
    document = printed(water)
    total = len(document.pages)
    assert document.metadata.title == f"{water.number} Water in an electric field"
    for number, page in enumerate(document.pages, start=1):
        assert f"page {number} of {total}" in page.extract_text()
        assert f"{water.number} " in page.extract_text()


def test_figures_are_vectors_and_all_typefaces_are_in_the_file(
    water: Calculation, printed: Any
) -> None:
    document = printed(water)
    assert not any(page.images for page in document.pages)
    fonts = {
        font.get_object()["/BaseFont"]
        for page in document.pages
        for font in page["/Resources"]["/Font"].get_object().values()
    }
    assert {str(name).split("+")[-1] for name in fonts} <= {
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSansMono",
    }
    assert all("+" in str(name) for name in fonts)


@pytest.mark.parametrize(
    "name",
    [
        '<b>bold</b> & <font size="40">large</font>',
        '<img src="/etc/passwd"/> <a href="http://evil.example">here</a>',
        "</para><para> &lt; & ] %d {x}",
        "$\\frac{1}{$ $x_$ _hidden",
    ],
)
def test_markup_is_printed_and_not_obeyed(name: str, ada: Any, text_of: Any, printed: Any) -> None:
    calculation = dressed(submitted(ada, name=name, description=name), name)
    text = text_of(calculation)
    assert text.count(name) >= 5
    assert not any("/Annots" in page for page in printed(calculation).pages)


def test_characters_of_all_kinds_are_borne(ada: Any, text_of: Any) -> None:
    words = "Å³ −½ H₂O ℏω ≥ µ 水 🙂 \x07\x0b\u202e\ufeff"
    text = text_of(dressed(submitted(ada, name=words), words))
    assert "Å³ −½ H₂O ℏω ≥ µ" in text
    assert "\ufffd\ufffd" in text  # what cannot be printed is seen to have been there


def dressed(calculation: Calculation, words: str) -> Calculation:
    """Put the words wherever a cluster, a program or a person could have."""
    run = calculation.runs.get()
    calculation.events.create(verb="note", actor_label=words[:150], note=words, evidence=[words])
    calculation.runs.update(state="valid", reason=words)
    place = {"calculation": calculation, "run": run}
    Quantity.objects.create(**place, name="a", label=words[:120], text=words)
    Quantity.objects.create(**place, name="b", label=words[:120], number=1.5, unit=words[:30])
    columns = [
        {"name": "x", "label": words, "unit": words, "values": [words, "b", None]},
        {"name": "y", "label": words, "unit": words, "values": [1.0, 2.0, None]},
    ]
    for kind in ("table", "series"):
        label = words[:120]
        Dataset.objects.create(**place, name=kind, label=label, kind=kind, columns=columns)
    OutputFile.objects.create(run=run, attempt=1, name=words, size=1, sha256="a" * 64, key=words)
    return calculation


def test_labels_of_charts_are_no_mathematics(ada: Any, root: Any, text_of: Any) -> None:
    calculation = submitted(ada, software="pyscf", parameters={})
    run = calculation.runs.get()
    calculation.runs.update(state="valid")
    columns = [
        {"name": "iteration", "label": "\\$\\frac{", "unit": "_$", "values": ["$a$", "$\\b$", "c"]},
        {"name": "energy_change", "label": "_$x$", "unit": "$", "values": [1.0, 0.1, None]},
        {"name": "gradient", "label": "\\$\\sum_", "unit": "$", "values": [1.0, 1e-300, -1.0]},
    ]
    Dataset.objects.create(
        calculation=calculation, run=run, name="scf", label="SCF", kind="series", columns=columns
    )
    text = text_of(calculation)
    assert "\\$\\frac{ / _$" in text
    assert "\\$\\sum_" in text


@pytest.mark.parametrize("values", [[1e308, -1e308], [0.0, 0.0], [1e-300, 2e-300], [7, 7.0]])
def test_extreme_numbers_are_drawn(values: list[float], ada: Any, printed: Any) -> None:
    calculation = submitted(ada, software="pyscf", parameters={})
    calculation.runs.update(state="valid")
    columns = [
        {"name": "iteration", "label": "x", "unit": "", "values": values},
        {"name": "energy_change", "label": "y", "unit": "eV", "values": values[::-1]},
    ]
    Dataset.objects.create(
        calculation=calculation,
        run=calculation.runs.get(),
        name="scf",
        label="SCF",
        kind="series",
        columns=columns,
    )
    assert len(printed(calculation).pages) > 0


def test_what_is_very_long_is_cut_and_never_stops_the_report(
    ada: Any, text_of: Any, printed: Any
) -> None:
    calculation = dressed(submitted(ada, name="x" * 200), "W" * 200)
    calculation.events.update(note="n" * 20_000, evidence=["e" * 4000] * 50)
    calculation.runs.update(reason="r\n" * 250)
    calculation.description = "\n".join(f"line {i}" for i in range(10_000))
    calculation.parameters = {"unknown": "long " * 40_000, "lines": "line\n" * 10_000}
    calculation.save()
    assert len(printed(calculation).pages) < 20
    assert "9960 more lines are left out here; the JSON report has all." in text_of(calculation)


def test_without_results_it_says_so(ada: Any, text_of: Any) -> None:
    waiting = submitted(ada, cores=100, walltime_s=36_000)
    text = text_of(waiting)
    assert "In review since" in text
    assert "There are none: no run is valid so far." in text


def test_a_program_that_is_gone_still_has_its_report(ada: Any, text_of: Any) -> None:
    calculation = submitted(ada, parameters={"value": 2.5})
    calculation.software = "gone"
    calculation.save()
    assert "its plug-in is not installed any more" in text_of(calculation)


def test_a_thousand_runs_stay_small_and_quick(
    thousand: Calculation, text_of: Any, printed: Any
) -> None:
    printed(thousand)  # the libraries are loaded once in a process
    begun = time.process_time()
    document = printed(thousand)
    assert time.process_time() - begun < 3
    assert len(document.pages) < 10
    text = text_of(thousand)
    assert "940 more runs are left out here; the JSON report has all." in text
    assert "−59" in text


def test_the_libraries_are_loaded_when_a_report_is_asked_for() -> None:
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.strip().splitlines()[-1] == "[]"
