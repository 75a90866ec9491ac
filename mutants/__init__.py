"""Mutants: the engine with one rule broken, to see that some test notices.

A mutant is a change of source text. The engine has no switch for it: the change is made in a copy of
the package, which stands before the real one on PYTHONPATH, for the test's own processes too.

    make mutants                    # all of them
    make mutants M=no_row_lock      # one, or several with a space between
    python -m mutants --find NAME   # which tests notice a new one, cheapest first

`catalogue` has them all, by what they break. A rule that a review found necessary has a mutant there;
so has every fault that was found and mended. Needs nothing but the repository's own environment.
"""
