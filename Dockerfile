# Ouro in a small image that runs as a user of its own.
#   docker build -t ouro .
#   docker run -p 6379:6379 -v ouro-data:/data ouro
# io_uring: Docker's default seccomp profile forbids it since version 25; the server then says so in its log and runs on
# epoll. tools/docker/README.md tells how to allow it.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update && \
    apt-get install -y --no-install-recommends gcc libc6-dev meson ninja-build pkg-config python3 \
        liburing-dev libjemalloc-dev libhiredis-dev
COPY . /src
RUN meson setup /build /src -Dtests=disabled && ninja -C /build ouro-server ouro-slots && \
    strip /build/ouro-server /build/ouro-slots

FROM ${BASE}
RUN apt-get update && \
    apt-get install -y --no-install-recommends liburing2 libjemalloc2 libhiredis0.14 && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log && \
    groupadd --system --gid 6379 ouro && \
    useradd --system --uid 6379 --gid ouro --home-dir /data --no-create-home --shell /usr/sbin/nologin ouro && \
    install -d -o ouro -g ouro /data
COPY --from=build /build/ouro-server /build/ouro-slots /usr/local/bin/
COPY tools/docker/entrypoint tools/docker/healthy /usr/local/bin/
COPY tools/docker/cluster.conf /etc/ouro/
USER ouro
WORKDIR /data
VOLUME /data
EXPOSE 6379
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=5s CMD ["healthy"]
ENTRYPOINT ["entrypoint"]
CMD ["ouro-server"]
