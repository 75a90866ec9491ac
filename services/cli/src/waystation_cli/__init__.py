"""The `waystation` command, and the whole engine in one process (`waystation dev`).

May import the api, the router and core; nothing imports it.

`commands` has one module per family of commands and says what is called; `render` says what a
person sees; `connection` is the one place that dials, and `failures` the one that turns refusals
into words. Commands that talk to a server need nothing of the engine, so only `migrate` and `dev`
import it, and only once they run. `first_service` has the files that `init` writes; nothing imports
them.
"""
