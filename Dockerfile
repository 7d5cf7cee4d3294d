# The wheel on a slim base: `make image`, or `make wheel && docker build -t mralab .`
ARG PYTHON=3.13
# Any image with python: a company's own has its CA and its package index (pip.conf)
ARG BASE=python:${PYTHON}-slim
FROM ${BASE}

COPY dist/mralab-*.whl /tmp/
RUN python -m venv /opt/mralab
RUN /opt/mralab/bin/python -m pip install --no-cache-dir --disable-pip-version-check /tmp/mralab-*.whl
RUN rm /tmp/mralab-*.whl
# Not root; the user owns certificates and logs. A number, because Kubernetes needs it to check runAsNonRoot.
RUN mkdir -p /var/lib/mralab
RUN chown 10001:10001 /var/lib/mralab

COPY examples/container/mralab.toml /etc/mralab/mralab.toml

ENV PATH=/opt/mralab/bin:$PATH HOME=/var/lib/mralab PYTHONUNBUFFERED=1 MRALAB_ADMIN=127.0.0.1:8444
USER 10001:10001
WORKDIR /var/lib/mralab
EXPOSE 8443
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://{os.environ[\"MRALAB_ADMIN\"]}/api/health', timeout=4)"]
ENTRYPOINT ["mralab"]
CMD ["serve", "-c", "/etc/mralab/mralab.toml"]
