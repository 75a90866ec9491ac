"""One module for each family of commands: reads the command line, calls, hands the answer on.

What a person sees is drawn in `waystation_cli.render`; nothing here formats.
"""
