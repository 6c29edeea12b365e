#!/usr/bin/env bash
# Alters each operator, value and branch of what guards sessions, second factors, limits, keys and origins, one at a time,
# and says which alteration no test sees. Needs `cargo install cargo-gamma --version 0.4.0`.
#
#   bash tests/guards/mutants.sh --shard-count 4 --shard-index 0    a quarter: about an hour on 2 cores
#   bash tests/guards/mutants.sh --only-survivors                   again, what was not seen in the last run
#
# Not asked, since they see nothing of this or take too long for each: documents, fuzz, floods, all tables searched for
# secrets, a queue of real hashes, and the tests of the running binary, which see lines of the log, metrics and files.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v cargo-gamma >/dev/null || { echo "first: cargo install cargo-gamma --version 0.4.0" >&2; exit 2; }

core=functions/core/src
exec cargo gamma run --workspace --no-config \
    --file "$core/sessions/**" --file "$core/store/sessions/**" \
    --file "$core/second_factor/**" --exclude-file "$core/second_factor/qr*" --file functions/verify/src/lib.rs \
    --file "$core/rate_limit/limiter.rs" --file "$core/rate_limit/quota.rs" --file "$core/rate_limit/memory/mod.rs" \
    --file "$core/rate_limit/log.rs" --file "$core/rate_limit/admission.rs" \
    --file "$core/keyset.rs" --file "$core/store/keys.rs" --file "$core/http/origin.rs" \
    --test-package hallpass-core --test-package hallpass-tests --test-package hallpass-verify --exclude-test fuzz \
    --memory off --jobs 2 --minimum-test-timeout 120 --artifact-dir target/mutants "$@" -- \
    --skip docs:: --skip asvs:: --skip floods:: --skip no_password_token_code --skip a_password_that_nobody_waits
