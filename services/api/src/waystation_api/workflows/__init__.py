"""WorkflowService: starts, waits, reads and changes of workflow instances.

service       the gRPC methods
calls         StartWorkflow, RunWorkflow, WaitWorkflow; call_streams: many of them over one stream
starts        new instances, in batches; backlog: whether there is room for more
waiters       who waits for an instance, and notices; watches: its history as a stream
reads         one instance and the lists; past: an instance as it was
changes       input, publish, cancel; instance_queues: changes of one instance, one after the other
replays       recorded attempts called again; replay_report: what they show
forks         a new instance from an old one
"""
