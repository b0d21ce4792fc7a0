# The project on a CPU: docker build -t yolo-attention . && docker run --rm -v "$PWD/my-data:/app/my-data" yolo-attention detect.py
FROM python:3.12-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1=1.6.* libglib2.0-0=2.74.* \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements.txt ./
RUN python -m pip install --no-cache-dir torch torchvision -c requirements.txt --index-url https://download.pytorch.org/whl/cpu \
    && python -m pip install --no-cache-dir -r requirements.txt
COPY . .
RUN useradd --create-home --uid 1000 user && mkdir -p runs datasets && chown -R user runs datasets
USER 1000
ENTRYPOINT ["python"]
CMD ["detect.py"]
