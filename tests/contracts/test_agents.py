"""Several agents beside each other: a slow one delays no other; a record that ends its worker ends in quarantine."""

from __future__ import annotations

import asyncio
import json

from aiokafka import AIOKafkaProducer
from contract_harness import PARTITIONS, Scene
from contract_report import Report
from quarantine_worker import halted, quarantine_topics

from app.topic_creation import create_topics


async def test_a_stuck_agent_delays_no_other(scene: Scene, report: Report) -> None:
    """One agent's places, its queue and what may wait for it are all full; the others share its partitions, its
    table, the producer and the ledger."""
    worker = await scene.started(
        "w1", work_s=60.0, max_running=2, max_queued=10, options={"reader_waiting": 50, "drain_limit_s": 1.0}
    )
    await scene.produce(400)
    await scene.until(lambda: scene.count("EFFECT") == 2, "the slow agent to be full", worker=worker)
    await scene.produce(300, updates=True, commands=True)
    await scene.all_applied(15)
    await scene.until(lambda: scene.commanded <= set(scene.places("COMMANDED")), "all commands to be done", 15)
    for topic in (scene.updates, scene.commands):
        await scene.until(lambda topic=topic: sum(scene.commits(topic).values()) == 300, f"commits of {topic}", 10)
    report.ours(
        "a stuck agent beside two others",
        f"{len(scene.updated)} updates and {len(scene.commanded)} commands done and committed meanwhile",
    )
    assert scene.count("END") == 0


async def test_a_record_that_ends_its_worker_three_times_is_put_aside(scene: Scene, report: Report) -> None:
    """Whole processes end twice; the third one puts the record aside, halts its symbol and goes on."""
    topics = quarantine_topics(scene.prefix, PARTITIONS)
    await create_topics(scene.bootstrap, topics)
    numbers = list(range(40))
    poison = scene.rnd.choice(numbers)
    producer = AIOKafkaProducer(bootstrap_servers=scene.bootstrap)
    await producer.start()
    for number in numbers:
        key = f"S{number % 8}"
        await producer.send_and_wait(topics.signals, json.dumps({"k": key, "i": number}).encode(), key=key.encode())
    await producer.stop()

    codes = []
    for _ in range(2):
        worker = scene.start("w1", program="quarantine_worker.py", poison=poison)
        await scene.until(lambda worker=worker: worker.process.poll() is not None, "the process to end")
        codes.append(worker.process.returncode)
        assert worker.last_line().startswith(f"FATAL HANDLER_FAILED: {topics.signals}-")
    worker = scene.start("w1", program="quarantine_worker.py", poison=poison)
    done = {number for number in numbers if number != poison}
    await scene.until(
        lambda: {int(line.details[3]) for line in scene.lines() if line.event == "END"} == done,
        "all others to be done",
        worker=worker,
    )
    letters = await scene.read(topics.signals_dead)
    assert await asyncio.to_thread(worker.terminate) == 0
    report.ours("a record that ends its worker three times", f"exits {codes}, then a dead letter, symbol halted")
    assert codes == [70, 70]
    assert [json.loads(letter.value)["i"] for letter in letters] == [poison]
    assert halted(await scene.read(topics.controls, 1)) == [f"S{poison % 8}"]
