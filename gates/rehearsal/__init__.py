"""The bundled target: a desk and a broker. Imports nothing else of ours."""
