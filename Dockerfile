# The worker image: `docker build -t gradstream .`. What is installed is what the lock files name, by hash; compilers
# and build tools stay in the first stage.

FROM python:3.11-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements-runtime.lock requirements-build.lock ./
RUN python -m venv /opt/gradstream \
 && /opt/gradstream/bin/pip install --require-hashes -r requirements-runtime.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE ./
COPY models models
COPY infra infra
COPY streams streams
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheel . \
 && /opt/gradstream/bin/pip install --no-deps /tmp/wheel/gradstream-*.whl

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-log-init --home-dir /var/lib/gradstream --create-home gradstream
COPY --from=build /opt/gradstream /opt/gradstream
# Compiled kernels are cached where the user may write.
ENV PATH=/opt/gradstream/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CACHE_DIR=/var/lib/gradstream/numba
USER 10001:10001
# gradstream.toml is looked for here.
WORKDIR /var/lib/gradstream
ENTRYPOINT ["gradstream"]
CMD ["worker"]
