#!/bin/sh
# Alters each operator, value and branch of what guards sessions, second factors, limits, keys and origins, one at a time,
# and says which alteration no test sees. Needs `cargo install cargo-gamma --version 0.4.0`.
#
#   sh tests/guards/mutants.sh --shard-count 4 --shard-index 0    a quarter: about 50 minutes on 2 cores
#   sh tests/guards/mutants.sh --only-survivors                   again, of what the last run says was not seen
#
# Left out as too slow to ask of each: fuzz, floods, and the tests of the running binary, which see lines of the log,
# metrics and files. What follows from the order of two requests is seen by chance (histories).
set -euf
cd "$(dirname "$0")/../.."

core=functions/core/src
exec cargo gamma run --workspace --no-config \
    --file "$core/sessions/**" --file "$core/store/sessions/**" \
    --file "$core/second_factor/**" --exclude-file "$core/second_factor/qr*" --file functions/verify/src/lib.rs \
    --file "$core/rate_limit/limiter.rs" --file "$core/rate_limit/quota.rs" --file "$core/rate_limit/memory/mod.rs" \
    --file "$core/rate_limit/log.rs" --file "$core/rate_limit/admission.rs" \
    --file "$core/keyset.rs" --file "$core/store/keys.rs" --file "$core/http/origin.rs" \
    --test-package hallpass-core --test-package hallpass-tests --test-package hallpass-verify --exclude-test fuzz \
    --memory off --jobs 2 --minimum-test-timeout 120 --artifact-dir target/mutants "$@" -- \
    --skip docs:: --skip asvs:: --skip guards:: --skip floods:: --skip no_password_token_code --skip a_password_that_nobody_waits
