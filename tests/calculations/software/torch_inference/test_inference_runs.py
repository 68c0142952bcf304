"""Real executions with torch: any number of ranks gives the same, whatever happens to them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import numpy
import pyarrow.parquet
import pytest

from calculations.software.results import Verdict
from tests.calculations.software.torch_inference.executions import (
    SAMPLES,
    Executed,
    arrays,
    data_set,
    execute,
    until_progress,
)

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.xdist_group("torch"), pytest.mark.timeout(180)]
FOLDER = {"source": "folder", "folder": "set"}
# Work for some seconds, so that there is time to interfere.
LONG = {"partitions": 8, "samples": 32, "batch_size": 8, "ranks": 2, "patience": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    data_set(root / "set")
    return root


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Executed:
    """The data set by one rank."""
    folder = tmp_path_factory.mktemp("alone")
    return execute(folder, {**FOLDER, "ranks": 1}, site={"data_dir": str(data)})


def predictions(executed: Executed) -> numpy.ndarray:
    table = pyarrow.parquet.read_table(executed.folder / "predictions.parquet")
    rows = list(zip(table["partition"].to_pylist(), table["row"].to_pylist(), strict=True))
    assert rows == [(p, r) for p, samples in enumerate(SAMPLES) for r in range(samples)]
    return table["prediction"].to_numpy()


def test_predictions_are_those_of_the_bare_network(alone: Executed) -> None:
    from calculations.software.torch_inference.networks import redshift

    network = redshift.build(1)
    expected, known = [], []
    with torch.inference_mode():
        for number, samples in enumerate(SAMPLES, 1):
            made = arrays(number, samples)
            image, magnitude = torch.tensor(made["image"]), torch.tensor(made["magnitude"])
            expected.append(network(image, magnitude).reshape(-1).numpy())
            known.append(made["redshift"])
    p, z = numpy.concatenate(expected), numpy.concatenate(known)
    assert alone.outcome.verdict is Verdict.VALID, alone.said
    assert numpy.allclose(predictions(alone), p, rtol=1e-5, atol=1e-6)
    assert alone.value("mae") == pytest.approx(numpy.abs(p - z).mean(), rel=1e-5)
    assert (alone.value("samples"), alone.value("partitions")) == (63, 3)
    assert (alone.folder / "inference.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_measured_is_told_apart(alone: Executed) -> None:
    rank = alone.document["ranks"][0]
    assert rank["batches"] == 3 + 4 + 3
    assert 0 < rank["compute_s"] <= rank["wall_s"]
    assert rank["cpu_s"] < 5 * rank["wall_s"]  # no operator counted twice
    assert 60.6 < rank["model_mib"] < 60.8  # parameters and buffers
    assert 100 < rank["peak_mib"] < 2000
    bits = alone.document["sums"]["bits"]
    assert bits == 63 * 164_160
    times = [alone.value(name) for name in ("start_s", "reduced_s", "total_s")]
    assert times == sorted(times)


def same(many: Executed, alone: Executed, ranks: int) -> None:
    assert many.outcome.verdict is Verdict.VALID, many.said
    assert many.value("collectives") == "gloo"
    assert len(many.results.dataset("ranks").columns[0].values) == ranks
    tolerance = many.value("tolerance")
    assert numpy.allclose(predictions(many), predictions(alone), rtol=tolerance, atol=1e-6)
    for name in ("mae", "mse", "bias", "precision", "r2"):
        assert many.value(name) == pytest.approx(alone.value(name), rel=10 * tolerance)
    assert many.value("idle_ranks") == max(0, ranks - len(SAMPLES))
    assert many.value("reduced_difference") < 1e-9


def test_more_ranks_than_partitions_give_the_same(
    tmp_path: Path, data: Path, alone: Executed
) -> None:
    many = execute(tmp_path, {**FOLDER, "ranks": 4}, site={"data_dir": str(data)})
    same(many, alone, 4)


def test_a_rank_that_is_killed_is_replaced_by_the_others(tmp_path: Path) -> None:
    def kill(process: subprocess.Popen[bytes], folder: Path) -> None:
        os.kill(until_progress(process, folder)[0], signal.SIGKILL)

    found = execute(tmp_path, LONG, meanwhile=kill)
    assert found.outcome.verdict is Verdict.VALID, found.said
    assert (found.value("lost_ranks"), found.value("samples")) == (1, 256)
    assert found.value("generations") >= 2
    assert found.value("reduced_difference") < 1e-9
    assert "signal 9" in found.results.dataset("lost").column("why").values[0]


def test_a_rank_that_stands_still_is_given_up_and_strangers_are_not_heard(tmp_path: Path) -> None:
    stopped: list[int] = []
    listened: list[str] = []

    def stop(process: subprocess.Popen[bytes], folder: Path) -> None:
        stopped.extend(until_progress(process, folder)[1:])
        os.kill(stopped[0], signal.SIGSTOP)
        for address, port in _listening([process.pid]):
            listened.append(address)
            with socket.create_connection((address, port), 5) as stranger:
                stranger.sendall(b"labportal-ranks/1\n" + bytes(64))
                while stranger.recv(4096):
                    pass

    found = execute(tmp_path, {**LONG, "collectives": "channel"}, meanwhile=stop)
    assert found.outcome.verdict is Verdict.VALID, found.said
    assert found.value("lost_ranks") == 1
    assert found.document["course"]["lost_ranks"][0]["unheard_s"] < 10
    assert not _alive(stopped[0])
    assert listened == ["127.0.0.1"]
    assert any("without the token" in words for words in found.document["strangers_refused"])


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _listening(pids: list[int]) -> list[tuple[str, int]]:
    sockets = {
        str(link.readlink())[8:-1]
        for pid in pids
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if str(link.readlink()).startswith("socket:[")
    }
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and fields[9] in sockets:
            address, port = fields[1].split(":")
            found.append((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)))
    return found


def test_a_pt_file_is_converted_once_and_gives_the_same(
    tmp_path: Path, data: Path, alone: Executed
) -> None:
    from torch.utils.data import TensorDataset

    (data / "pt").mkdir()
    for number, samples in enumerate(SAMPLES, 1):
        tensors = [torch.tensor(array) for array in arrays(number, samples).values()]
        torch.save(TensorDataset(*tensors), data / "pt" / f"{number}.pt")
    asked = {"source": "folder", "folder": "pt", "ranks": 2}
    site = {"data_dir": str(data), "cache_dir": str(tmp_path / "cache")}
    found = execute(tmp_path / "first", asked, site=site)
    same(found, alone, 2)
    assert len(list((tmp_path / "cache").glob("*.safetensors"))) == len(SAMPLES)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.mark}",)


def test_a_pt_file_that_would_run_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data" / "set").mkdir(parents=True)
    torch.save({"image": Evil(tmp_path / "owned")}, tmp_path / "data" / "set" / "1.pt")
    site = {"data_dir": str(tmp_path / "data")}
    found = execute(tmp_path / "run", {**FOLDER, "ranks": 1}, site=site)
    assert (found.outcome.verdict, found.outcome.code) == (Verdict.FAILED, "pt_refused")
    assert "holds more than tensors" in found.outcome.message
    assert not (tmp_path / "owned").exists()


def test_values_that_are_no_numbers_make_the_run_not_valid(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    made = arrays(1, 9)
    made["image"][4] = numpy.nan
    (tmp_path / "data" / "set").mkdir(parents=True)
    save_file(made, tmp_path / "data" / "set" / "1.safetensors")
    asked = {**FOLDER, "ranks_by": "deadline", "deadline": 300}
    found = execute(tmp_path / "run", asked, site={"data_dir": str(tmp_path / "data")})
    assert (found.outcome.verdict, found.outcome.code) == (Verdict.NOT_VALID, "not_finite")
    assert "1 of 9 predictions" in found.outcome.message
    assert (found.value("ranks"), found.value("deadline_kept")) == (1, True)


def test_a_gpu_that_is_not_there_is_no_success(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    found = execute(tmp_path, {"device": "cuda", "ranks": 1})
    assert (found.outcome.verdict, found.outcome.code) == (Verdict.FAILED, "no_gpu")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_a_gpu_gives_what_the_cpu_gives(
    tmp_path: Path, data: Path, alone: Executed, precision: str
) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    from calculations.software.base import Resources

    found = execute(
        tmp_path,
        {**FOLDER, "device": "cuda", "precision": precision, "ranks": 1},
        site={"data_dir": str(data)},
        resources=Resources(cores=2, gpus=1),
    )
    assert found.outcome.verdict is Verdict.VALID, found.said
    assert found.value("collectives") == "nccl"
    assert found.value("gpu_peak_mib") > 60
    tolerance = max(1e-4, found.value("tolerance"))
    assert numpy.allclose(predictions(found), predictions(alone), rtol=tolerance, atol=tolerance)
