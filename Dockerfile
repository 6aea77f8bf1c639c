# A static s3fcp, with certificates to trust and nothing else:
#   docker build --build-arg COMMIT="$(git log -1 --format='%h %cs')" --tag s3fcp .
#   docker run --rm --env AWS_REGION s3fcp --no-sign-request s3://bucket/key > file
# How it gets credentials is in the README.

FROM rust:1.95-alpine AS build
# What compiles aws-lc and mimalloc.
RUN apk add --no-cache build-base
WORKDIR /s3fcp
COPY . .
# There is no git in here to ask.
ARG COMMIT=
RUN S3FCP_COMMIT="$COMMIT" cargo build --release --locked --bin s3fcp

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /s3fcp/target/release/s3fcp /usr/bin/s3fcp
ENTRYPOINT ["/usr/bin/s3fcp"]
