"""Shapes of what is asked of a calculation once it stands: notes, some of its runs, further values,
a priority; and of the answers to that.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from calculations.models import Run
from calculations.services.extension import NewRun
from calculations.sweeps.reading import MAX_AXES


class NoteSerializer(serializers.Serializer):
    """A reason in words, which some verbs need."""

    note = serializers.CharField(required=False, allow_blank=True, max_length=2000, default="")


class RunNumbers(serializers.ListField):
    """Numbers of runs, from 1; null for all."""

    child = serializers.IntegerField(min_value=1, max_value=10**6)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, default=None, max_length=1000, **kwargs)


class CancelSerializer(NoteSerializer):
    runs = RunNumbers()


class RetrySerializer(serializers.Serializer):
    """`advised`: with what the last verdict of each run advises to change."""

    runs = RunNumbers()
    advised = serializers.BooleanField(default=False)


class ExtendSerializer(serializers.Serializer):
    """Further values by axis: {"parameter", "values" or "from"/"to"/"points"/"spacing", or
    "structures"}.
    """

    axes = serializers.ListField(
        child=serializers.DictField(), allow_empty=False, max_length=MAX_AXES
    )
    preview = serializers.BooleanField(default=False)


class CellSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    state = serializers.CharField()
    state_words = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    words = serializers.CharField()
    why = serializers.CharField()


class CellsSerializer(serializers.Serializer):
    cells = CellSerializer(many=True)


class NewRunSerializer(serializers.Serializer):
    """`continues` is the number of the run whose files it takes, null for a start of its own or
    where that run is new too.
    """

    point = serializers.ListField(source="planned.point")
    continues = serializers.SerializerMethodField()

    def get_continues(self, new: NewRun) -> int | None:
        return new.before.index + 1 if isinstance(new.before, Run) else None


class ExtensionSerializer(serializers.Serializer):
    """What is added; `review` says why a moderator must agree."""

    runs = NewRunSerializer(many=True)
    review = serializers.CharField()
    note = serializers.CharField()


class InputTextSerializer(serializers.Serializer):
    input = serializers.CharField(max_length=5_000_000, trim_whitespace=False)


class PrioritySerializer(serializers.Serializer):
    priority = serializers.IntegerField()


class AnalysesSerializer(serializers.Serializer):
    """Analyses by name; `complete` adds what they require."""

    names = serializers.ListField(
        child=serializers.CharField(max_length=60), allow_empty=False, max_length=100
    )
    complete = serializers.BooleanField(default=False)
