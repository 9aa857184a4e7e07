# The page on a CPU: docs/settings.md, "In a container". PyTorch's CPU build is installed first, in requirements.txt's
# version: pip's usual index has for Linux on x86-64 only the CUDA build, several gigabytes larger, so PyTorch's own
# index has to be named. A mirror: docker build --build-arg TORCH_INDEX=...
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN pip install --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.txt)" \
    && pip install -r requirements.txt -c constraints.txt

COPY app.py LICENSE README.md ./
COPY weights ./weights
COPY busi_model ./busi_model
COPY docs/api.md ./docs/

# Code belongs to root and cannot be changed by the program; records go to the volume.
RUN useradd --create-home --uid 1000 busi && mkdir /data && chown busi:busi /data
USER busi
VOLUME /data
ENV BUSI_STORE=/data/busi GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import http.client as c; p = c.HTTPConnection('127.0.0.1', 7860); p.request('GET', '/'); p.getresponse()"]
CMD ["python", "app.py"]
