# The same recipes as CI's.

check: lint docs test

test:
    cargo test --workspace

lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

docs:
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --document-private-items

run:
    cargo run --release

ci:
    bash .ci/run

# The image; options go to docker, such as --platform linux/arm64
image *options:
    docker build -t hallpass -f container/Dockerfile {{options}} .

# nginx with TLS in front of two replicas, and a guarded API; needs `just image`
up:
    container/certificates.sh
    docker compose -f container/compose.yaml --profile guard up

# The functions, by SAM, with the credentials of the environment
deploy stack:
    .ci/deploy build
    .ci/deploy {{stack}}
