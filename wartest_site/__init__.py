"""The frame of the portal: settings, servers, commands that start and watch it."""
