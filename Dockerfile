# The image of every program of ours; compose and Procfile choose which one runs.
# `--target simulators` builds the demo's stand-ins for the providers instead.

FROM python:3.11-slim AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/opt/venv/bin:$PATH
WORKDIR /app

# Nothing but the lock file decides what is installed.
FROM base AS libraries
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
COPY requirements/run.lock requirements/run.lock
RUN python -m venv /opt/venv \
    && pip install --require-hashes -r requirements/run.lock

FROM libraries AS simulator-libraries
COPY requirements/embedded.lock requirements/embedded.lock
RUN pip install --require-hashes -r requirements/embedded.lock

FROM base AS simulators
RUN useradd --system --uid 10001 --no-create-home payments
COPY --from=simulator-libraries /opt/venv /opt/venv
COPY simulators simulators
USER 10001:10001
ENTRYPOINT ["python", "-m", "simulators"]

# The last stage is what a plain `docker build .` makes: no embedded servers.
FROM base AS service
RUN useradd --system --uid 10001 --no-create-home payments
COPY --from=libraries /opt/venv /opt/venv
COPY domain domain
COPY application application
COPY persistence persistence
COPY providers providers
COPY runtime runtime
COPY workers workers
COPY web web
COPY local_stack local_stack
COPY cli cli
USER 10001:10001
CMD ["python", "-m", "web"]
