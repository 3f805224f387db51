"""The steps of a cleaning chain, by topic; ``data/clean.py`` names them."""
