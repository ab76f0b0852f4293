"""Several local nodes as one cluster: for tests of lost leaders and of too few replicas in sync."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from app.kafka.broker import START_TIMEOUT_S, LocalKafka, cluster_id, free_ports
from app.kafka.errors import KafkaError
from app.kafka.options import KafkaOptions


class LocalCluster:
    """`size` nodes on one machine, ids 1 … `size`, each broker and controller; about 170 MB of memory each.

    Ports are chosen when the object is made and stay; data survives restarts as long as they do. With three nodes,
    Kafka's own topics have three copies and need two.
    """

    def __init__(
        self,
        directory: Path,
        size: int = 3,
        *,
        quick: bool = True,
        with_parent: bool = True,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        ports = free_ports(2 * size)
        voters = tuple((node, ports[size + node - 1]) for node in range(1, size + 1))
        self.nodes = tuple(
            LocalKafka(
                KafkaOptions(
                    directory=self.directory / f"node-{node}",
                    port=ports[node - 1],
                    controller_port=controller_port,
                    quick=quick,
                    with_parent=with_parent,
                    node_id=node,
                    voters=voters,
                    extra=extra or {},
                )
            )
            for node, controller_port in voters
        )

    @property
    def bootstrap(self) -> str:
        """Addresses of all nodes, so that clients find the cluster whichever node is down."""
        return ",".join(node.bootstrap for node in self.nodes)

    def node(self, node_id: int) -> LocalKafka:
        """The node with this id, as Kafka's metadata names leaders and replicas. Raises `LookupError` if none has."""
        for node in self.nodes:
            if node.options.node_id == node_id:
                return node
        raise LookupError(f"no node {node_id} among {len(self.nodes)}")

    async def start(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start all nodes and wait until each sees all. Raises what `LocalKafka.start` raises; none runs then."""
        await asyncio.to_thread(self._share_cluster_id)
        try:
            for node in self.nodes:  # one after another: their Javas would only fight for the cores
                await node.launch()
            for node in self.nodes:
                await node.wait_ready(timeout_s)
        except (KafkaError, asyncio.CancelledError):
            await self.kill()
            raise

    async def stop(self) -> None:
        """Stop all nodes together; those that are down already stay so.

        Not one by one: the last ones would have no quorum left to say goodbye to, and wait for it.
        """
        await asyncio.gather(*(node.stop() for node in self.nodes))

    async def kill(self) -> None:
        """SIGKILL to all nodes."""
        await asyncio.gather(*(node.kill() for node in self.nodes))

    def _share_cluster_id(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        shared = cluster_id(self.directory)
        for node in self.nodes:
            node.options.directory.mkdir(exist_ok=True)
            (node.options.directory / "cluster-id").write_text(shared, "utf-8")
