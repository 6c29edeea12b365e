//! How often each partition of the accounts was written, so that whoever keeps what it read knows when to read again.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use serde::Deserialize;

/// A number for each partition that grows with every write to it, before and after. A few partitions share one, so it
/// may grow without a write, and never fails to grow with one.
#[derive(Debug)]
pub struct Revisions {
    stripes: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// The partitions that a request may write to.
pub(crate) enum Written {
    Partitions(Vec<String>),
    /// It can't be told.
    Any,
}

const STRIPES: usize = 4096;

impl Default for Revisions {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| AtomicU64::default()).collect(), hasher: RandomState::new() }
    }
}

impl Revisions {
    /// The number of a partition, by the value of its key. What is read after this is at least as new.
    #[must_use]
    pub fn of(&self, partition: &str) -> u64 {
        self.stripe(partition).map_or(0, |stripe| stripe.load(Ordering::SeqCst))
    }

    pub(crate) fn grow(&self, written: &Written) {
        let grow = |stripe: &AtomicU64| {
            stripe.fetch_add(1, Ordering::SeqCst);
        };
        match written {
            Written::Partitions(partitions) => partitions.iter().filter_map(|name| self.stripe(name)).for_each(grow),
            Written::Any => self.stripes.iter().for_each(grow),
        }
    }

    fn stripe(&self, partition: &str) -> Option<&AtomicU64> {
        let stripe = self.hasher.hash_one(partition) % STRIPES as u64;
        self.stripes.get(usize::try_from(stripe).unwrap_or(0))
    }
}

impl Written {
    /// Reads what a request of the DynamoDB API writes to.
    pub(crate) fn by(operation: &str, body: &[u8]) -> Self {
        let touches: Option<Vec<Touch>> = match operation {
            "GetItem" | "BatchGetItem" | "TransactGetItems" | "Query" | "Scan" | "DescribeTable" | "ListTables"
            | "DescribeTimeToLive" => Some(Vec::new()),
            "PutItem" | "UpdateItem" | "DeleteItem" => serde_json::from_slice(body).ok().map(|touch| vec![touch]),
            "TransactWriteItems" => serde_json::from_slice(body)
                .ok()
                .map(|Transaction { items }| items.into_iter().flat_map(HashMap::into_values).collect()),
            _ => None,
        };
        match touches {
            Some(touches) => Self::Partitions(touches.into_iter().filter_map(Touch::partition).collect()),
            None => Self::Any,
        }
    }
}

/// A transaction: each item is an operation's name and what it touches.
#[derive(Deserialize)]
struct Transaction {
    #[serde(rename = "TransactItems")]
    items: Vec<HashMap<String, Touch>>,
}

#[derive(Deserialize)]
struct Touch {
    #[serde(rename = "Key", alias = "Item")]
    item: Partition,
}

/// The key of a partition of the sessions, if that is where an item is.
#[derive(Deserialize)]
struct Partition {
    user_id: Option<Text>,
}

#[derive(Deserialize)]
struct Text {
    #[serde(rename = "S")]
    text: String,
}

impl Touch {
    fn partition(self) -> Option<String> {
        self.item.user_id.map(|user_id| user_id.text)
    }
}
