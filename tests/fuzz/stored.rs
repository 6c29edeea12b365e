//! What the store gives back: somebody may have written to it who knows no key.

use std::sync::{Arc, OnceLock};

use hallpass_core::{
    accounts::{
        hasher::{Comparison, HashError, Hasher, Phc},
        password::Password,
    },
    config::Argon2Cost,
    keyset::{Key, KeySet},
    random::OsRandom,
};
use proptest::{option, prelude::*, sample::select};
use tokio::runtime::Runtime;

use crate::{config, text_of};

/// Cheap costs, and such as nobody may be made to pay.
const FIELDS: &[&str] = &[
    "argon2id",
    "argon2i",
    "argon2d",
    "v=19",
    "v=16",
    "v=",
    "m=64",
    "m=65",
    "m=0",
    "m=4294967295",
    "t=1",
    "t=2",
    "t=4294967295",
    "p=1",
    "p=0",
    "p=16777216",
    "keyid=",
    "keyid=AAAAAAAAAAA",
    "data=AAAA",
    ",",
    "=",
    "+1",
    "-1",
];
const COST: Argon2Cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

struct Stored {
    runtime: Runtime,
    hasher: Hasher,
    phc: Phc,
}

impl Stored {
    fn get() -> &'static Self {
        static STORED: OnceLock<Stored> = OnceLock::new();
        STORED.get_or_init(|| {
            let runtime = Runtime::new().unwrap();
            let keys = KeySet::new(vec![Key::new([7; 32])]).unwrap();
            let hasher = Hasher::start(COST, 1, Arc::new(keys), Arc::new(OsRandom)).unwrap();
            let phc = runtime.block_on(async {
                hasher.hash(&hasher.slot().await.unwrap(), &Password::parse("correct horse").unwrap()).await.unwrap()
            });
            Self { runtime, hasher, phc }
        })
    }

    fn compared(&self, password: &str, stored: String) -> Result<Comparison, HashError> {
        self.runtime.block_on(async {
            let (slot, password) = (self.hasher.slot().await.unwrap(), Password::parse(password).unwrap());
            self.hasher.verify(&slot, &password, &Phc::stored(stored)).await
        })
    }

    fn opens_with(&self, password: &str, stored: String) -> bool {
        matches!(self.compared(password, stored), Ok(Comparison::Match { .. }))
    }
}

properties! {
    config(), trial;

    #[test]
    fn a_hash_that_somebody_altered_opens_for_no_other_password(
        at in 0..120_usize,
        (length, piece) in prop_oneof![
            (0..12_usize, prop_oneof![select(FIELDS).prop_map(str::to_owned), text_of(FIELDS), "[A-Za-z0-9+/]{1,3}"]),
            // One character for another, which leaves most of it readable.
            (Just(1), "[A-Za-z0-9+/]"),
        ],
    ) {
        let stored = Stored::get();
        let mut altered = stored.phc.as_str().to_owned();
        let start = at.min(altered.len());
        let end = (start + length).min(altered.len());
        altered.replace_range(start..end, &piece);
        match stored.compared("correct horsf", altered.clone()) {
            Ok(compared) => {
                prop_assert_eq!(compared, Comparison::Mismatch);
                trial.accept();
            }
            Err(unreadable) => prop_assert_ne!(unreadable, HashError::Busy),
        }
        // Nor for the right one, unless the digest is whole.
        let digest = |phc: &str| phc.rsplit('$').next().map(str::to_owned);
        if digest(&altered) != digest(stored.phc.as_str()) {
            prop_assert!(!stored.opens_with("correct horse", altered));
        }
    }

    #[test]
    fn a_hash_is_whole_or_none(text in text_of(FIELDS), digest in option::of("[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]")) {
        let stored = Stored::get();
        let (before, _) = stored.phc.as_str().rsplit_once('$').unwrap();
        let written = match digest {
            Some(digest) => format!("{before}${digest}"),
            None => format!("${}", text.replace(' ', "$")),
        };
        let compared = stored.compared("correct horse", written);
        prop_assert!(matches!(compared, Err(_) | Ok(Comparison::Mismatch)));
        if compared.is_ok() {
            trial.accept();
        }
    }
}
