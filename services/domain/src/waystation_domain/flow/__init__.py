"""The flow of events through tasks: what task specs declare and what history shows. There are no workflow
definitions, so this is how one sees the flow: `graph` builds a graph of tasks and event types for each
workflow type, `lint` finds what is wrong with it."""
