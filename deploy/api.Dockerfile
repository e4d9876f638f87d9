# The API and the control worker: no torch, small, starts in a second.
FROM python:3.12-slim
RUN useradd --create-home --home-dir /var/lib/dpk dpk
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY dpk_select dpk_select
COPY dpk_core dpk_core
COPY service service
COPY worker worker
COPY client client
COPY migrations migrations
# EXTRAS=runner adds torch, for plug-ins and uploaded models (docs/own-models.md).
ARG EXTRAS=server,parquet
RUN pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"
USER dpk
WORKDIR /var/lib/dpk
CMD ["python", "-m", "service"]
