# One image for every process; compose.yaml shows which command each one runs.
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements/uv.txt requirements/run.txt requirements/
RUN python -m venv /app/.venv \
    && /app/.venv/bin/pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
    && /app/.venv/bin/uv pip install --python /app/.venv/bin/python --no-cache --compile-bytecode \
        --require-hashes -r requirements/run.txt \
    && /app/.venv/bin/pip uninstall --yes uv

FROM python:3.11-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg tini \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 nvr \
    && useradd --uid 10001 --gid nvr --home-dir /data --no-create-home --shell /usr/sbin/nologin nvr \
    && install -d -m 0700 -o nvr -g nvr /data \
    && install -d -m 0755 -o nvr -g nvr /cameras
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY . .
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    NVR_DATA_DIR=/data \
    NVR_CAMERA_ROOT=/cameras
USER nvr
VOLUME ["/data", "/cameras"]
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/api/health', timeout=4)"]
# tini passes signals on and reaps what ffmpeg leaves behind.
ENTRYPOINT ["tini", "--"]
CMD ["python", "manage.py", "up", "--host", "0.0.0.0", "--port", "8000"]
