"""The process that trains: `python -m dpk_core.runner` speaks `dpk_core.protocol` on its standard streams.

It knows no database, queue or web. It lives on between runs, so data sets and teachers stay warm, and it ends by itself
when its standard input closes.
"""
