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
