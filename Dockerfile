FROM python:3.12-slim
WORKDIR /srv
COPY requirements.lock pyproject.toml README.md ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY app app
COPY streams streams
COPY tables tables
COPY domain domain
COPY exchanges exchanges
RUN pip install --no-cache-dir --no-deps --no-build-isolation . \
    && useradd --create-home ordermanager && mkdir /data && chown ordermanager /data
USER ordermanager
ENTRYPOINT ["ordermanager"]
