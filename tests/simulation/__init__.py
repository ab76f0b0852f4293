"""The order of steps, searched for its mistakes: the real handlers in a simulated world, replayable from one number.

Real: `SignalAgent`, `OrderAgent`, `CommandAgent`, `Submitter`, `Canceller`, `Reconciler`, `Recovery`, `Timers`, the
lanes and every rule of `domain`. Simulated: time (jumps to the next thing that happens), Kafka (`broker`), the tables'
rows and their changelogs (`rows`), the group's books (`inbox`), the venue with its books, market, stream and faults
(`books`, `calls`, `gateway`), and the people who send signals, commands and orders by hand (`people`).

Everything that is random comes from the seed, nothing runs in threads, so a seed always gives the same run.

What a run does to the process: crashes at any effect (a record staged, appended or acknowledged, a call about to
leave or just answered, an offset committed), losing what was staged and not appended, always a suffix per partition;
orderly hand-overs to a next generation of the same process; leases in doubt. What it does to the venue's side:
requests that never arrive, arrive late, or whose reply is lost; refusals, rate limits, maintenance; reads that lag
behind; stream messages that are dropped (and filled in later), repeated, late and out of order; clocks that differ;
orders placed, amended and cancelled by hand; funding and liquidations.

What must hold is in `watch` (while it runs) and `verdict` (at the end, when the faults have stopped and all is quiet).

Not covered: the transport, the ledger and the stores of the engine (tests/contracts runs those against a real broker),
two owners of a partition at the same time, retention and compaction, venues' real protocols (tests/exchanges).
"""
