# masu serve without PyTorch: exported files (.onnx) in ONNX Runtime. docs/serve.md says how to run it.
#
#   docker build -t masu-serve .
#   docker run --rm --read-only -p 127.0.0.1:8000:8000 -v "$PWD/models:/models:ro" masu-serve /models/cells.onnx

FROM python:3.13-slim AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.13-slim
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "numpy>=1.26" "pillow>=10.3" "click>=8.2" "rich>=13.7" "onnxruntime>=1.20" "starlette>=0.40" "uvicorn>=0.30" \
    && pip install --no-cache-dir --no-deps /wheels/masu-*.whl \
    && rm -r /wheels
USER 65534:65534
ENV PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["masu", "serve", "--host", "0.0.0.0", "--lull", "5"]
CMD ["/models/model.onnx"]
