"""What every test may use: the plug-in that counts trials."""

pytest_plugins = ["tests.lab.trials"]
