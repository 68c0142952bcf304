"""Redshift: estimates redshifts of galaxies from their images and magnitudes, with torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import network
from serving.formats import array_of, csv_body, json_body, json_object, npz_arrays
from serving.server import Answer, Call, Model, Rejected, main

if TYPE_CHECKING:
    from numpy import ndarray

WEIGHTS = "model.safetensors"
AT_ONCE = 512  # galaxies in one pass
MOST = 20_000  # galaxies in one call


class Redshift(Model):
    """Weights are taken from the model's files (MODEL_DIR, else /opt/ml/model); without them they
    are random, the same at each start: the work is the same, the answers mean nothing.
    """

    accepts = ("application/json", "application/x-npz")
    gives = ("application/json", "text/csv")
    at_once = 1  # torch shares one pass among the cores by itself

    def load(self) -> None:
        import torch

        cores = os.environ.get("OMP_NUM_THREADS")
        if cores:
            torch.set_num_threads(int(cores))
        path = Path(os.environ.get("MODEL_DIR", "/opt/ml/model")) / WEIGHTS
        self.weights = WEIGHTS if path.is_file() else "random"
        made = network.load(path) if path.is_file() else network.build()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = made.to(self.device)
        parameters = sum(parameter.numel() for parameter in made.parameters())
        if parameters != network.PARAMETERS:
            raise ValueError(f"the network has {parameters} parameters, not {network.PARAMETERS}")
        example = (Path(__file__).resolve().parent / "example.json").read_bytes()
        self.answer(Call(example, self.accepts[0], self.gives[0]))  # the first pass is the slowest
        print(f"{parameters:,} parameters, weights: {self.weights}, on {self.device}", flush=True)

    def answer(self, call: Call) -> Answer:
        one = call.content_type == "application/json"
        given: dict[str, Any] = json_object(call.body) if one else npz_arrays(call.body)
        many = () if one else (None,)
        images = array_of(given.get("image"), "image", (*many, *network.IMAGE_SHAPE), "float32")
        magnitudes = array_of(given.get("magnitude"), "magnitude", (*many, network.MAGNITUDES))
        if one:
            images, magnitudes = images[None], magnitudes[None]
        if len(images) != len(magnitudes):
            raise Rejected(400, f"there are {len(images)} images and {len(magnitudes)} magnitudes")
        if len(images) > MOST:
            raise Rejected(400, f"there are {len(images)} galaxies; send at most {MOST} in a call")
        redshifts = self.redshifts(images, magnitudes)
        if call.accept == "text/csv":
            rows = [[f"{redshift:.7g}"] for redshift in redshifts]
            return Answer(csv_body(["redshift"], rows), call.accept)
        answer: dict[str, Any] = {"redshift": redshifts[0]} if one else {"redshifts": redshifts}
        return Answer(json_body({**answer, "weights": self.weights}), call.accept)

    def redshifts(self, images: ndarray, magnitudes: ndarray) -> list[float]:
        import torch

        found: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(images), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                image = torch.from_numpy(images[part]).to(self.device)
                magnitude = torch.from_numpy(magnitudes[part]).to(self.device)
                found += self.network(image, magnitude)[:, 0].tolist()
        return found


if __name__ == "__main__":
    sys.exit(main(Redshift))
