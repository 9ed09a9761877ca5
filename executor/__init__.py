"""From a workflow document to its results: check, plan, run, cache, report. Nothing here imports torch."""
