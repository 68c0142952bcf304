"""Shapes of what runs leave in the API: quantities, datasets, attempts, files."""

from __future__ import annotations

from rest_framework import serializers

from calculations.models import AnalysisResult, Attempt, Dataset, InputFile, OutputFile, Quantity


class QuantitySerializer(serializers.ModelSerializer):
    value = serializers.SerializerMethodField()

    class Meta:
        model = Quantity
        fields = ["name", "label", "value", "unit", "analysis"]

    def get_value(self, quantity: Quantity) -> float | str | bool | None:
        return quantity.value


class DatasetSerializer(serializers.ModelSerializer):
    class Meta:
        model = Dataset
        fields = ["id", "name", "label", "kind", "columns", "analysis"]


class AnalysisResultSerializer(serializers.ModelSerializer):
    class Meta:
        model = AnalysisResult
        fields = [
            "id",
            "name",
            "version",
            "input_sha256",
            "status",
            "problem",
            "created_at",
            "run",
        ]


class AttemptSerializer(serializers.ModelSerializer):
    cluster = serializers.SlugRelatedField(slug_field="name", read_only=True)

    class Meta:
        model = Attempt
        exclude = ["id", "run"]


class OutputFileSerializer(serializers.ModelSerializer):
    class Meta:
        model = OutputFile
        fields = ["id", "name", "size", "sha256", "attempt"]


class InputFileSerializer(serializers.ModelSerializer):
    class Meta:
        model = InputFile
        fields = ["name", "size", "sha256"]
