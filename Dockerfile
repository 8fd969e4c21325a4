FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 RESELLERKPI_VAR=/data \
    MALLOC_MMAP_THRESHOLD_=8388608 MALLOC_TRIM_THRESHOLD_=67108864
RUN useradd --system --home-dir /app resellerkpi && install -d -o resellerkpi /data /app
WORKDIR /app
COPY requirements.lock .
RUN pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
USER resellerkpi
EXPOSE 8000
CMD ["gunicorn", "resellerkpi.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4", "--timeout", "120", "--no-control-socket"]
