"""What everything stands on: settings, files, numbers, the machine, Keras imported quietly."""
