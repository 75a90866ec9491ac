# One image for every process of Waystation and for the example's handlers; the command decides.
FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY requirements.lock ./
# uv as the lock pins it, then everything else with it.
RUN awk '/^[^ ]/ { mine = /^uv==/ } mine' requirements.lock > uv.lock.txt \
    && python -m venv tools && tools/bin/pip install --no-cache-dir --require-hashes -r uv.lock.txt \
    && tools/bin/uv venv /opt/waystation
COPY gen/python gen/python
COPY services services
COPY examples/chat_model examples/chat_model
COPY examples/insurance_claim examples/insurance_claim
RUN tools/bin/uv pip install --no-cache --no-sources --python /opt/waystation/bin/python \
    --constraint requirements.lock --build-constraint requirements.lock --compile-bytecode \
    gen/python services/domain services/conversion services/tls 'services/core[traces]' services/api services/router services/worker_sdk services/cli \
    examples/chat_model examples/insurance_claim

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin waystation
COPY --from=build /opt/waystation /opt/waystation
COPY docker/health_check.py docker/trial_security.py /opt/waystation/
# A new volume that is mounted there belongs to the user of the processes.
RUN for part in authority api router handlers operator; do install -d -o 10001 -m 700 "/security/$part"; done
COPY LICENSE /opt/waystation/LICENSE
# gRPC writes a line of its own for each failed handshake, which strangers could fill a log with.
ENV PATH=/opt/waystation/bin:$PATH PYTHONUNBUFFERED=1 GRPC_VERBOSITY=ERROR
USER 10001
EXPOSE 7400 7401 7500
CMD ["waystation-api"]
