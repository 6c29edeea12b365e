//! The only door to randomness, and to ids that are merely unlike each other.

use std::{cell::RefCell, sync::Arc};

use fastrand::Rng;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Where unpredictable bytes come from (ASVS 5.0 11.5.1).
pub trait Random: Send + Sync + 'static {
    /// Fills `bytes` with unpredictable values.
    fn fill(&self, bytes: &mut [u8]);
}

/// A shared generator, as the application state carries it.
pub type SharedRandom = Arc<dyn Random>;

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    #[expect(clippy::disallowed_methods, reason = "this is the door to randomness")]
    #[expect(
        clippy::expect_used,
        reason = "without randomness nothing here may go on: a guessable session would be worse than a 500"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system's random generator answers");
    }
}

/// A secret of `N` random bytes, wiped when dropped.
pub(crate) fn secret<const N: usize>(random: &dyn Random) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    random.fill(bytes.as_mut());
    bytes
}

/// `N` random bytes that are no secret, such as a nonce or a salt.
pub(crate) fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

thread_local! {
    static REQUEST_IDS: RefCell<Rng> = RefCell::new(Rng::with_seed(u64::from_ne_bytes(bytes(&OsRandom))));
}

/// A request's id: unlike all others, though who has seen some may foresee the next. It proves nothing, and so isn't worth
/// a call to the system with each request.
#[must_use]
pub fn request_id() -> Uuid {
    let bytes = REQUEST_IDS.with_borrow_mut(|ids| ids.u128(..)).to_ne_bytes();
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

/// An unpredictable (version 4) UUID.
pub(crate) fn uuid(random: &dyn Random) -> Uuid {
    uuid::Builder::from_random_bytes(bytes(random)).into_uuid()
}

/// Counts 1, 2, 3 and so on through all that is asked for, so that a test finds every byte again.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Counting(std::sync::atomic::AtomicU8);

#[cfg(test)]
impl Random for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, thread};

    use super::*;

    #[test]
    fn no_two_requests_have_one_id() {
        let threads: Vec<_> = (0..100).map(|_| thread::spawn(|| [request_id(), request_id()])).collect();
        let ids: HashSet<Uuid> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(ids.len(), 200);
    }

    /// By chance a byte is 0 in all 32 draws once in 2²⁵⁶.
    #[test]
    fn the_system_fills_every_byte_that_is_asked_for() {
        let draws: Vec<[u8; 64]> = (0..32).map(|_| bytes(&OsRandom)).collect();
        for at in 0..64 {
            assert!(draws.iter().any(|draw| draw[at] != 0), "byte {at}");
        }
    }
}
