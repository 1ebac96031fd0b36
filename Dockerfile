# A small image: Python, what requirements.lock pins, and aimkeeper, run by a user without rights.
#   docker build --tag aimkeeper .
FROM python:3.11-slim-bookworm AS build

# No pip in what is copied out of here. Compiled now: the image may run on a file system that can't be written.
RUN python -m venv --without-pip /opt/aimkeeper
COPY requirements.lock /source/
RUN pip --python /opt/aimkeeper/bin/python install --no-cache-dir --compile --require-hashes --no-deps --only-binary :all: \
    --requirement /source/requirements.lock
COPY pyproject.toml README.md LICENSE /source/
# The modules that sites load are kept in browser/, and linked to from src/.
COPY browser /source/browser
COPY src /source/src
# The build tools are pinned in the lock too, and no part of the program.
RUN pip --python /opt/aimkeeper/bin/python install --no-cache-dir --compile --no-deps --no-build-isolation /source \
    && pip --python /opt/aimkeeper/bin/python uninstall --yes editables hatchling pathspec pluggy trove-classifiers

FROM python:3.11-slim-bookworm

RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin aimkeeper \
    && install --directory --mode 0700 --owner aimkeeper --group aimkeeper /data
COPY --from=build /opt/aimkeeper /opt/aimkeeper
ENV PATH=/opt/aimkeeper/bin:$PATH \
    AIMKEEPER_DATA_DIR=/data \
    AIMKEEPER_HOST=0.0.0.0 \
    AIMKEEPER_LOG_FORMAT=json

# The embedded database and its key, or, with PostgreSQL, the spool: keep it.
VOLUME /data
WORKDIR /data
USER 10001:10001
EXPOSE 8000

# Alive also while the database or AimHarder is away: a restart would help nobody, and may cost tokens in flight.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]

ENTRYPOINT ["aimkeeper"]
CMD ["serve"]
