"""Sweeps over one parameter become sweeps with one axis; runs learn their place in it."""

from typing import Any

from django.db import migrations


def with_axes(sweep: dict[str, Any]) -> dict[str, Any]:
    """{"parameter", "values", "mode", "carry"} as {"axes": [{"parameter", "values"}], …}."""
    if "axes" in sweep:
        return sweep
    axes = [{"parameter": sweep["parameter"], "values": sweep["values"]}]
    mode = sweep.get("mode", "independent")
    if mode != "chain":
        return {"axes": axes, "mode": mode}
    carry = list(sweep.get("carry", ()))
    return {"axes": axes, "mode": mode, "along": 0, "direction": "forward", "carry": carry}


def without_axes(sweep: dict[str, Any]) -> dict[str, Any]:
    """Only what the old form can hold: the first axis."""
    if "axes" not in sweep:
        return sweep
    axis = sweep["axes"][0]
    found = {"parameter": axis["parameter"], "values": axis["values"], "mode": sweep["mode"]}
    return {**found, "carry": sweep["carry"]} if sweep["mode"] == "chain" else found


def forward(apps: Any, schema_editor: Any) -> None:
    Calculation = apps.get_model("calculations", "Calculation")
    Run = apps.get_model("calculations", "Run")
    for calculation in Calculation.objects.exclude(sweep=None).iterator(500):
        if "axes" in calculation.sweep:
            continue
        name, values = calculation.sweep["parameter"], calculation.sweep["values"]
        runs = list(Run.objects.filter(calculation=calculation))
        for run in runs:
            known = values[run.index] if run.index < len(values) else None
            run.point = [run.parameters.get(name, known)]
        Run.objects.bulk_update(runs, ["point"], batch_size=500)
        calculation.sweep = with_axes(calculation.sweep)
        calculation.save(update_fields=["sweep"])


def backward(apps: Any, schema_editor: Any) -> None:
    Calculation = apps.get_model("calculations", "Calculation")
    for calculation in Calculation.objects.exclude(sweep=None).iterator(500):
        calculation.sweep = without_axes(calculation.sweep)
        calculation.save(update_fields=["sweep"])


class Migration(migrations.Migration):
    dependencies = [("calculations", "0011_chains_may_branch")]

    operations = [migrations.RunPython(forward, backward)]
