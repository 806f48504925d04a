# The broker: one static binary, without a shell, not as root.
#
#   docker build -t sentinel .
#   docker run --read-only -p 8443:8443 -v ./sentinel.toml:/etc/sentinel/sentinel.toml:ro -v ./tls:/etc/sentinel/tls:ro sentinel
#
# The image has no embedded AWS: nothing in it serves but AWS itself. examples/broker/compose.yaml builds one that has it.
FROM rust:1.94-alpine AS build
# The TLS library is built from C.
RUN apk add --no-cache build-base cmake
WORKDIR /sentinel
COPY . .
ARG FEATURES=--no-default-features
RUN cargo build --locked --profile dist ${FEATURES} && cp target/dist/sentinel /usr/local/bin/sentinel

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/sentinel /sentinel
# Nobody, as most images number it.
USER 65532:65532
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 8443
ENTRYPOINT ["/sentinel"]
CMD ["broker", "--file", "/etc/sentinel/sentinel.toml", "--listen", "0.0.0.0:8443", \
     "--tls-cert", "/etc/sentinel/tls/tls.crt", "--tls-key", "/etc/sentinel/tls/tls.key"]
