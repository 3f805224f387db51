"""``duobiao score --engine ray`` on a local cluster of two worker nodes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from score_files import contents, many_rows

from duobiao import progress
from duobiao.errors import ConfigError, DuobiaoError
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
