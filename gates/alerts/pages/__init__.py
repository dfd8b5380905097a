"""The pages of alerts: the inbox, one alert, times, runbooks, routes and drills."""
