# The workers that train: the same code with torch, torchvision and timm (CUDA build; runs on a CPU too).
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
RUN pip install --no-cache-dir --constraint constraints.txt '.[runner]'
USER dpk
WORKDIR /var/lib/dpk
CMD ["python", "-m", "worker", "--queues", "runs"]
