//! Argon2id behind one seam: a few threads, each with a memory of its own, and a bounded queue before them.
//!
//! Memory is bounded by threads × cost whatever the load, and a client that hangs up leaves its work, not its
//! memory, behind (attack 5.25). The memory is reused, which saves a third of a hash, and given back after a while.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, AssociatedData, Block, KeyId, Params, ParamsBuilder, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use zeroize::Zeroizing;

use super::{
    password::Password,
    queue::{Gauges, Queue},
};
use crate::{
    config::Argon2Cost,
    keyset::KeySet,
    random::{self, SharedRandom},
};

/// A stored password hash: a PHC string with algorithm, cost, pepper key id, salt and digest.
#[derive(Clone, PartialEq, Eq)]
pub struct Phc(String);

impl Phc {
    /// Takes a stored string; it is read, and its cost bounded, when it is verified.
    #[must_use]
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    /// The string to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Phc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phc(hidden)")
    }
}

/// Why no verdict came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The queue is full; nothing was hashed.
    #[error("the queue of password hashes is full")]
    Busy,
    /// The stored hash can't be read, or asks for more than [`Hasher::COST_CEILING_KIB`] allows.
    #[error("a stored password hash is malformed or its cost is hostile")]
    Malformed,
    /// The stored hash was peppered under a key that isn't in the key set.
    #[error("a stored password hash needs a key that is not in the key set")]
    UnknownKey,
}

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Not the password.
    Mismatch,
    /// The password; hashed anew if the stored hash has another cost or an older key than are in force.
    Match {
        /// The hash to store instead.
        rehashed: Option<Phc>,
    },
}

/// Hashes and verifies passwords. A cheap clone.
#[derive(Clone)]
pub struct Hasher {
    jobs: SyncSender<Job>,
    places: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    slots_max: usize,
    gauges: Gauges,
    cost: Argon2Cost,
    keys: Arc<KeySet>,
    random: SharedRandom,
}

/// Leave to hash, for as long as it lives. To be taken before anything is read for the hash: whoever waits without it
/// has nothing in memory but what was asked.
#[must_use]
#[derive(Debug)]
pub struct HashingSlot {
    _place: OwnedSemaphorePermit,
    _slot: OwnedSemaphorePermit,
}

struct Job {
    recipe: Recipe,
    password: Zeroizing<Vec<u8>>,
    reply: oneshot::Sender<Result<Digest, HashError>>,
}

type Digest = Zeroizing<[u8; DIGEST_BYTES]>;

/// Everything but the password that goes into a hash.
struct Recipe {
    params: Params,
    pepper: Zeroizing<[u8; 32]>,
    salt: [u8; SALT_BYTES],
}

/// RFC 9106 section 4: 256 bits of tag, 128 bits of salt.
const DIGEST_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

impl Hasher {
    /// A stored hash that asks for more memory than this, in KiB, is hostile (attack 5.26).
    pub const COST_CEILING_KIB: u32 = 256 * 1024;
    /// The most iterations a stored hash may ask for.
    pub const ITERATIONS_CEILING: u32 = 32;
    /// Requests that wait for a [`HashingSlot`] at most; at about 60 hashes a second and core the last one waits some
    /// four seconds on two cores.
    pub const QUEUE_MAX: usize = 512;
    /// Slots for each hashing thread: the others read and write the store meanwhile.
    const SLOTS_PER_THREAD: usize = 4;
    /// After this long without work a thread gives its memory back.
    const IDLE: Duration = Duration::from_secs(30);

    /// Starts `threads` hashing threads.
    ///
    /// # Errors
    /// When the system starts no more threads.
    pub fn start(cost: Argon2Cost, threads: usize, keys: Arc<KeySet>, random: SharedRandom) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(Self::QUEUE_MAX);
        let queue = Arc::new(Mutex::new(queue));
        let (threads, gauges) = (threads.max(1), Gauges::default());
        for number in 0..threads {
            let (queue, gauges) = (Arc::clone(&queue), gauges.clone());
            thread::Builder::new().name(format!("argon2-{number}")).spawn(move || work(&queue, &gauges))?;
        }
        let slots_max = threads * Self::SLOTS_PER_THREAD;
        let places = Arc::new(Semaphore::new(slots_max + Self::QUEUE_MAX));
        let slots = Arc::new(Semaphore::new(slots_max));
        Ok(Self { jobs, places, slots, slots_max, gauges, cost, keys, random })
    }

    /// Waits for leave to hash, in the order of asking.
    ///
    /// # Errors
    /// [`HashError::Busy`] when too many wait already.
    pub async fn slot(&self) -> Result<HashingSlot, HashError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.gauges.refused();
            HashError::Busy
        })?;
        // Never closed, so waiting ends in a permit.
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| HashError::Busy)?;
        Ok(HashingSlot { _place: place, _slot: slot })
    }

    /// How busy the threads are.
    #[must_use]
    pub fn queue(&self) -> Queue {
        let places_taken = (self.slots_max + Self::QUEUE_MAX).saturating_sub(self.places.available_permits());
        let slots_taken = self.slots_max.saturating_sub(self.slots.available_permits());
        self.gauges.queue(places_taken.saturating_sub(slots_taken))
    }

    /// Hashes a new password at the cost in force, with a salt of its own.
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub async fn hash(&self, slot: &HashingSlot, password: &Password) -> Result<Phc, HashError> {
        let recipe = self.fresh_recipe()?;
        let (params, salt) = (recipe.params.clone(), recipe.salt);
        let digest = self.run(slot, recipe, password).await?;
        phc_string(&params, &salt, &digest)
    }

    /// Compares a password with a stored hash, in constant time.
    ///
    /// # Errors
    /// [`HashError`]; none of them says anything about the password.
    pub async fn verify(&self, slot: &HashingSlot, password: &Password, stored: &Phc) -> Result<Comparison, HashError> {
        let (recipe, expected) = self.stored_recipe(stored)?;
        let is_current = recipe.params == self.current_params()?;
        let digest = self.run(slot, recipe, password).await?;
        if !bool::from(digest.as_slice().ct_eq(expected.as_bytes())) {
            return Ok(Comparison::Mismatch);
        }
        let rehashed = if is_current { None } else { Some(self.hash(slot, password).await?) };
        Ok(Comparison::Match { rehashed })
    }

    /// Spends what [`Hasher::verify`] spends, for an account that doesn't exist (ASVS 5.0 6.3.8).
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub async fn verify_nothing(&self, slot: &HashingSlot, password: &Password) -> Result<(), HashError> {
        self.hash(slot, password).await.map(drop)
    }

    async fn run(&self, _slot: &HashingSlot, recipe: Recipe, password: &Password) -> Result<Digest, HashError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { recipe, password: Zeroizing::new(password.as_bytes().to_vec()), reply };
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => HashError::Busy,
        })?;
        answer.await.map_err(|_closed| HashError::Busy)?
    }

    fn current_params(&self) -> Result<Params, HashError> {
        let mut builder = ParamsBuilder::new();
        builder.m_cost(self.cost.memory_kib).t_cost(self.cost.iterations).p_cost(self.cost.parallelism);
        builder.output_len(DIGEST_BYTES);
        builder.keyid(KeyId::new(&self.keys.first().id().0).map_err(|_| HashError::Malformed)?);
        builder.build().map_err(|_| HashError::Malformed)
    }

    fn fresh_recipe(&self) -> Result<Recipe, HashError> {
        Ok(Recipe {
            params: self.current_params()?,
            pepper: self.keys.first().pepper(),
            salt: random::bytes(&*self.random),
        })
    }

    fn stored_recipe(&self, stored: &Phc) -> Result<(Recipe, Output), HashError> {
        let hash = PasswordHash::new(&stored.0).map_err(|_| HashError::Malformed)?;
        let params = Params::try_from(&hash).map_err(|_| HashError::Malformed)?;
        let is_sane = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(u32::from(Version::V0x13))
            && params.m_cost() <= Self::COST_CEILING_KIB
            && params.t_cost() <= Self::ITERATIONS_CEILING
            && params.data() == AssociatedData::EMPTY.as_bytes();
        let (Some(salt), Some(digest), true) = (hash.salt, hash.hash, is_sane) else {
            return Err(HashError::Malformed);
        };
        let salt = <[u8; SALT_BYTES]>::try_from(&*salt).map_err(|_| HashError::Malformed)?;
        let pepper = self.keys.by_id(params.keyid()).ok_or(HashError::UnknownKey)?.pepper();
        Ok((Recipe { params, pepper, salt }, digest))
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("cost", &self.cost).finish_non_exhaustive()
    }
}

fn phc_string(params: &Params, salt: &[u8], digest: &[u8; DIGEST_BYTES]) -> Result<Phc, HashError> {
    let malformed = |_| HashError::Malformed;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|_| HashError::Malformed)?,
        salt: Some(Salt::new(salt).map_err(malformed)?),
        hash: Some(Output::new(digest).map_err(malformed)?),
    };
    Ok(Phc(hash.to_string()))
}

/// One hashing thread: takes jobs in turn, keeps its memory between them, and ends with the last [`Hasher`].
fn work(queue: &Mutex<Receiver<Job>>, gauges: &Gauges) {
    let mut memory: Vec<Block> = Vec::new();
    loop {
        // The lock is held only while waiting; whoever waits gets the next job.
        let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv_timeout(Hasher::IDLE);
        match next {
            Ok(job) => {
                // Nobody waits any more: the password isn't worth hashing.
                if !job.reply.is_closed() {
                    let digest = gauges.computing(|| compute(&job.recipe, &job.password, &mut memory));
                    let _ = job.reply.send(digest);
                }
            }
            Err(RecvTimeoutError::Timeout) => memory = Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn compute(recipe: &Recipe, password: &[u8], memory: &mut Vec<Block>) -> Result<Digest, HashError> {
    let blocks = recipe.params.block_count();
    if memory.len() < blocks {
        memory.resize(blocks, Block::new());
    }
    let argon2 =
        Argon2::new_with_secret(recipe.pepper.as_slice(), Algorithm::Argon2id, Version::V0x13, recipe.params.clone())
            .map_err(|_| HashError::Malformed)?;
    let mut digest = Zeroizing::new([0; DIGEST_BYTES]);
    let memory = memory.get_mut(..blocks).ok_or(HashError::Malformed)?;
    argon2
        .hash_password_into_with_memory(password, &recipe.salt, digest.as_mut_slice(), memory)
        .map_err(|_| HashError::Malformed)?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keyset::Key, random::OsRandom};

    const LOW: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn key(byte: u8) -> Key {
        Key::new([byte; 32])
    }

    fn hasher(cost: Argon2Cost, keys: Vec<Key>) -> Hasher {
        Hasher::start(cost, 2, Arc::new(KeySet::new(keys).unwrap()), Arc::new(OsRandom)).unwrap()
    }

    async fn hashed(hasher: &Hasher, password: &str) -> Result<Phc, HashError> {
        hasher.hash(&hasher.slot().await?, &Password::parse(password).unwrap()).await
    }

    async fn verified(hasher: &Hasher, password: &str, stored: &Phc) -> Result<Comparison, HashError> {
        hasher.verify(&hasher.slot().await?, &Password::parse(password).unwrap(), stored).await
    }

    /// RFC 9106 section 5.3, through the function every login goes through.
    #[test]
    fn the_argon2id_vector_of_rfc_9106_passes() {
        let mut builder = ParamsBuilder::new();
        builder.m_cost(32).t_cost(3).p_cost(4).output_len(32).data(AssociatedData::new(&[4; 12]).unwrap());
        let params = builder.build().unwrap();
        let argon2 = Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params.clone()).unwrap();
        let mut digest = [0; 32];
        let mut memory = vec![Block::new(); params.block_count()];
        argon2.hash_password_into_with_memory(&[1; 32], &[2; 16], &mut digest, &mut memory).unwrap();
        assert_eq!(
            data_encoding::HEXLOWER.encode(&digest),
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
        );
    }

    #[tokio::test]
    async fn a_password_that_nobody_waits_for_any_more_is_not_hashed() {
        let cost = Argon2Cost { memory_kib: 64 * 1024, iterations: 4, ..LOW };
        let keys = Arc::new(KeySet::new(vec![key(1)]).unwrap());
        let hasher = Hasher::start(cost, 1, keys, Arc::new(OsRandom)).unwrap();
        let slot = hasher.slot().await.unwrap();
        let password = Password::parse("correct horse battery").unwrap();
        let first = hasher.hash(&slot, &password);
        let mut second = Box::pin(hasher.hash(&slot, &password));
        // The second is queued behind the first, and its client hangs up.
        let (first, ()) = tokio::join!(biased; first, async move {
            assert!(futures_util::poll!(&mut second).is_pending());
        });
        first.unwrap();
        hasher.hash(&slot, &password).await.unwrap();
        assert_eq!(hasher.queue().computed, 2);
    }

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_and_no_other() {
        let hasher = hasher(LOW, vec![key(1)]);
        let stored = hashed(&hasher, "correct horse\0battery").await.unwrap();
        assert!(stored.as_str().starts_with("$argon2id$v=19$m=64,t=1,p=1,keyid="));
        assert_eq!(
            verified(&hasher, "correct horse\0battery", &stored).await,
            Ok(Comparison::Match { rehashed: None })
        );
        for other in
            ["correct horse\0batterz", "correct horse", "correct horse\0battery ", "Correct horse\0battery", ""]
        {
            assert_eq!(verified(&hasher, other, &stored).await, Ok(Comparison::Mismatch), "{other:?}");
        }
    }

    #[tokio::test]
    async fn whoever_waits_and_whoever_is_refused_is_counted() {
        let hasher = hasher(LOW, vec![key(1)]);
        let places = 2 * Hasher::SLOTS_PER_THREAD + Hasher::QUEUE_MAX;
        let mut slots: Vec<_> = (0..places).map(|_| Box::pin(hasher.slot())).collect();
        let mut taken = Vec::new();
        for slot in &mut slots {
            taken.extend(futures_util::FutureExt::now_or_never(slot.as_mut()));
        }
        let beyond = futures_util::FutureExt::now_or_never(hasher.slot()).expect("an answer without a wait");
        assert_eq!(beyond.unwrap_err(), HashError::Busy);
        let queue = hasher.queue();
        assert_eq!((taken.len(), queue.waiting), (2 * Hasher::SLOTS_PER_THREAD, Hasher::QUEUE_MAX as u64));
        assert_eq!((queue.running, queue.refused, queue.computed), (0, 1, 0));
        drop((slots, taken));
        hashed(&hasher, "correct horse").await.unwrap();
        let queue = hasher.queue();
        assert_eq!((queue.waiting, queue.refused, queue.computed), (0, 1, 1));
    }

    #[tokio::test]
    async fn composed_and_decomposed_spellings_are_one_password() {
        let hasher = hasher(LOW, vec![key(1)]);
        let stored = hashed(&hasher, "cafe\u{301} au lait").await.unwrap();
        assert_eq!(verified(&hasher, "café au lait", &stored).await, Ok(Comparison::Match { rehashed: None }));
    }

    #[tokio::test]
    async fn an_older_cost_is_verified_and_rehashed() {
        let keys = vec![key(1)];
        let stored = hashed(&hasher(LOW, keys.clone()), "correct horse").await.unwrap();
        let dearer = hasher(Argon2Cost { memory_kib: 128, ..LOW }, keys);
        let Ok(Comparison::Match { rehashed: Some(rehashed) }) = verified(&dearer, "correct horse", &stored).await
        else {
            panic!("an older cost asks for a new hash")
        };
        assert!(rehashed.as_str().contains("m=128"));
        assert_eq!(verified(&dearer, "correct horse", &rehashed).await, Ok(Comparison::Match { rehashed: None }));
    }

    #[tokio::test]
    async fn an_older_key_verifies_and_rehashes_and_a_missing_one_gives_no_verdict() {
        let stored = hashed(&hasher(LOW, vec![key(1)]), "correct horse").await.unwrap();
        let rotated = hasher(LOW, vec![key(2), key(1)]);
        assert!(matches!(
            verified(&rotated, "correct horse", &stored).await,
            Ok(Comparison::Match { rehashed: Some(_) })
        ));
        let lost = hasher(LOW, vec![key(2)]);
        assert_eq!(verified(&lost, "correct horse", &stored).await, Err(HashError::UnknownKey));
    }

    #[tokio::test]
    async fn a_hostile_or_foreign_hash_is_refused_before_any_memory_is_taken() {
        let hasher = hasher(LOW, vec![key(1)]);
        let stored = hashed(&hasher, "correct horse").await.unwrap();
        for (from, to) in
            [("m=64", "m=4194304"), ("t=1", "t=4000000"), ("argon2id", "argon2i"), ("v=19", "v=16"), ("$argon2id", "")]
        {
            let hostile = Phc::stored(stored.as_str().replacen(from, to, 1));
            assert_eq!(verified(&hasher, "correct horse", &hostile).await, Err(HashError::Malformed), "{to}");
        }
    }
}
