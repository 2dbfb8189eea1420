# The Python that the tests run on.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS build
WORKDIR /src
RUN python -m venv /opt/orchestrator
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY orchestrator orchestrator
COPY tasks tasks
COPY web web
RUN /opt/orchestrator/bin/pip install --no-cache-dir --constraint constraints.txt ".[postgres,server]"

FROM python:${PYTHON_VERSION}-slim
# A number, so that Kubernetes' runAsNonRoot can see that it is not root.
RUN useradd --uid 10001 --create-home --home-dir /app --shell /usr/sbin/nologin orchestrator
COPY --from=build /opt/orchestrator /opt/orchestrator
ENV PATH=/opt/orchestrator/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
USER 10001
EXPOSE 8787
ENTRYPOINT ["orchestrator"]
CMD ["worker"]
