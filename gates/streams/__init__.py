"""The broker's streams of every running gate that watches one, held by one small process.

`python -m gates.streams` holds them; a second one waits for the lease of the first.

- `lines`: what one line says, or why it cannot be read. Pure.
- `continuity`: which transactions are new, and which the stream left out. Pure.
- `stopwatch`: stops judged as prices and fills come in. Pure.
- `connection`: one stream, read line by line through a door that can only ask.
- `lives`: what ends by itself begins again, after a pause.
- `following`: both streams of one run: repair, gaps, alerts.
- `telling`: a missed stop and a late one, in words.
- `following_runs`: which runs are followed, and how their targets are reached.
- `holding`: the lease; each run followed and watched (`gates.alerts.watching`); what is written down once a second.

What the streams see is early; the slots of the gates stay the proof.
"""
