# A static s3fcp, with certificates to trust and nothing else:
#   docker build --build-arg COMMIT="$(git log -1 --format='%h %cs')" --tag s3fcp .
#   docker run --rm --env AWS_REGION s3fcp --no-sign-request s3://bucket/key > file
# How it gets credentials: docs/containers.md.

# By tag: it only compiles, and what it compiles is locked; a digest would keep its security updates out.
FROM rust:1.95-alpine AS build
# What compiles ring and mimalloc, in the version that this tag's distribution has.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base ca-certificates
WORKDIR /s3fcp
COPY . .
# There is no git in here to ask.
ARG COMMIT=
RUN S3FCP_COMMIT="$COMMIT" cargo build --release --locked --bin s3fcp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /s3fcp/target/release/s3fcp /usr/bin/s3fcp
# A user that may do nothing; profiles are looked for in its home.
ENV HOME=/home/nonroot
USER 65532:65532
ENTRYPOINT ["/usr/bin/s3fcp"]
