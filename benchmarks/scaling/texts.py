"""What the tables say of themselves."""

COSTS = """\
CPU µs of a batch of n samples, by stage; own, foreign and again are of full batches. `transport` and
`fetch` are what Faust and the Kafka clients take: for a batch, and for each time that something of the log
has come."""

LIMITS = """\
Thousand samples a second that each resource allows, all of them labelled, in full batches. Each worker has
a core, each host {gigabits:.0f} Gbit/s each way, the log {replicas} replicas; its partition takes
{log:,.0f} MB/s, measured with the broker and two writers on this machine."""

COMPARED = """\
dense-10, all samples at once, on as many partitions as workers. Workers, servers and sender share the cores
of this machine, in the simulation as well. CPU µs: of a worker for each sample that it processes itself;
formula: the same at the simulation's batches. Record: samples of a log record. What the clients cost is
fitted to the run of one worker, so that its CPU time agrees confirms nothing. Nothing is fitted to the runs
of more, but how the clients' costs are counted was corrected once in view of runs of two. One run of each."""

BEYOND = """\
dense-10, by simulation. Each worker has a core, the rest is as under Limits. Unseen: samples that
other workers had processed and a prediction did not know of, mean; log: from the append of a record until its
worker folds it, median."""

SIZES = """\
The fewest workers that use no resource by more than 60 %, and with which the simulation keeps up; more models
where one log is not enough. Cores: what the workers use together, servers not counted, when each sample comes
for itself (a worker takes more at once before it falls behind). MB/s: into one log, and into each worker.
GB a day: all logs, on each replica. Redis: MB, as it reports them."""

FAR = """\
Ten million samples a second of dense-10 on one log with {workers} workers are {written:.1f} GB/s into one
partition, and {sent:,.0f} GB/s out of its leader. Each worker would need {fold:.1f} cores for the fold, which
runs on one. So one log is exceeded: {times}."""
