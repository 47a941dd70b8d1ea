"""From a fresh clone to a running command, with the standard library only.

`start` decides where a command runs; `environment` makes or completes `.venv` from
`requirements.lock`; `requirements` says what is needed; `installation` runs the installer.
"""
