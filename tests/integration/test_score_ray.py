"""``duobiao score --engine ray`` on a local cluster of two worker nodes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import done
from score_files import contents, many_rows
from serving import FAULTS, make_bundle

import duobiao
from duobiao import progress
from duobiao.errors import ConfigError, DuobiaoError
from duobiao.score import ray_engine
from duobiao.score.run import score

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'duobiao[ray]'")
pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'duobiao[tables]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without CPUs and two worker nodes; each could do the work of both."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.spare = [made.add_node(num_cpus=2, object_store_memory=100 << 20) for _ in range(2)]
    made.wait_for_nodes()
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


class Watch:
    """A reporter that does something once so many rows are scored."""

    def __init__(self, rows: int, act: Any) -> None:
        self.left, self.act = rows, act

    def start(self, label: str, total: int, done: int) -> Watch:
        return self

    def finish(self, task: Any) -> None: ...

    def say(self, message: str) -> None: ...

    def advance(self, amount: int = 1, note: str = "") -> None:
        before, self.left = self.left, self.left - amount
        if before > 0 >= self.left:
            self.act()


def nodes_of_actors() -> set[str]:
    """The nodes on which actors live."""
    return {one["Address"]["NodeID"] for one in ray._private.state.actors().values() if one["State"] == "ALIVE"}


def test_the_cluster_gives_the_same_bytes_though_a_worker_node_dies_midway(cluster: Any, chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.csv", 1200)
    settings = {"part_rows": 20, "keep": ("note",)}
    wanted = score(chain.linear, [source], tmp_path / "local", settings)
    lost: list[Any] = []

    def kill() -> None:
        busy = nodes_of_actors()
        node = next(node for node in cluster.spare if node.node_id in busy)  # one that is at work
        lost.append(node)
        cluster.remove_node(node, allow_graceful=False)

    with progress.use(Watch(300, kill)):
        found = score(chain.linear, [source], tmp_path / "ray", settings, engine="ray", ray_address=cluster.address, workers=2)
    assert len(lost) == 1
    assert found == wanted
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")
    assert (tmp_path / "ray.bad.jsonl").read_bytes() == (tmp_path / "local.bad.jsonl").read_bytes()


def test_a_part_that_ends_every_actor_is_given_up_and_the_same_command_goes_on(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle, source = make_bundle(tmp_path / "bundle"), tmp_path / "rows.jsonl"
    texts = [f"快递{n}" for n in range(40)]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts[:25], "崩", *texts[25:]]), encoding="utf-8")
    paths = os.pathsep.join([str(FAULTS), str(Path(duobiao.__file__).parents[1])])
    options: dict[str, Any] = {"engine": "ray", "ray_address": cluster.address, "workers": 1}
    with monkeypatch.context() as patch:
        patch.setattr(ray_engine, "ONE_THREAD", {**ray_engine.ONE_THREAD, "PYTHONPATH": paths})
        patch.setattr(ray_engine, "ATTEMPTS", 2)
        with pytest.raises(DuobiaoError, match="gave a part up, after 2 attempts") as told:
            score(bundle, [source], tmp_path / "out", {"part_rows": 13}, **options)
    assert "rows.jsonl, the 13 rows from row" in told.value.problems[0]
    assert score(bundle, [source], tmp_path / "out", {"part_rows": 13}, **options).rows == 41  # nothing kills it any more


def test_a_job_with_a_second_model_and_routes_travels(cluster: Any, tmp_path: Path):
    first, second = make_bundle(tmp_path / "first"), make_bundle(tmp_path / "second", "second", shift=0.3)
    (tmp_path / "routes.yaml").write_text('nodes:\n  "*":\n    - {labels: 物流, to: 甲}\n    - {else: 乙}\nactions: [甲, 乙]\n')
    source = many_rows(tmp_path / "rows.jsonl", 30)
    command = ("score", first, "--input", source, "--teacher", second, "--route", tmp_path / "routes.yaml", "--workers", "1")
    command += ("--band", "0.3", "--at", "strict")
    done(*command, "--output", tmp_path / "local")
    done(*command, "--output", tmp_path / "ray", "--engine", "ray", "--ray-address", cluster.address)
    assert contents(tmp_path / "ray") == contents(tmp_path / "local")


def test_what_stops_a_worker_is_told_as_it_is_without_ray(cluster: Any, chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.jsonl", 60)
    whole = source.read_bytes()

    def spoil() -> None:
        source.unlink()

    with progress.use(Watch(1, spoil)), pytest.raises(DuobiaoError, match=r"rows\.jsonl: cannot be read"):
        score(chain.linear, [source], tmp_path / "out", {"part_rows": 1}, engine="ray", ray_address=cluster.address, workers=1)
    source.write_bytes(whole)


def test_a_cluster_that_is_not_there_is_refused(chain: Any, tmp_path: Path):
    source = many_rows(tmp_path / "rows.jsonl", 3)
    with pytest.raises(ConfigError, match="without the Ray engine"):
        score(chain.linear, [source], tmp_path / "out", ray_address="auto")
