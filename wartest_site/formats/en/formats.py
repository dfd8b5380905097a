"""Times in the admin as everywhere: to the second, and with their zone."""

DATETIME_FORMAT = "Y-m-d H:i:s e"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
DATE_FORMAT = "Y-m-d"
TIME_FORMAT = "H:i:s"
