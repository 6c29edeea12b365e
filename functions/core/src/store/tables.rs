//! The three tables: their names, and how they are made where nobody else made them.

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, BillingMode, ConditionCheck, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
        TimeToLiveSpecification, TimeToLiveStatus, TransactWriteItem,
    },
};
use futures_util::FutureExt;

use super::{StoreError, keys};
use crate::config::TablePrefix;

/// The names of the three tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableNames {
    /// Accounts.
    pub users: String,
    /// Sessions, pending logins, epochs.
    pub sessions: String,
    /// Limit logs.
    pub counters: String,
}

impl TableNames {
    /// `<prefix>-users`, `<prefix>-sessions`, `<prefix>-counters`.
    #[must_use]
    pub fn new(prefix: &TablePrefix) -> Self {
        let name = |table: &str| format!("{}-{table}", prefix.as_str());
        Self { users: name("users"), sessions: name("sessions"), counters: name("counters") }
    }

    /// Makes the tables that are missing, with their TTL, waits until they can be used, and tries a transaction.
    ///
    /// Where describing or making tables isn't allowed, they are taken to exist: on AWS the stack makes them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ensure(&self, client: &Client) -> Result<(), StoreError> {
        ensure(client, &self.users, keys::USERS_PARTITION, None).await?;
        ensure(client, &self.sessions, keys::SESSIONS_PARTITION, Some(keys::SESSIONS_SORT)).await?;
        ensure(client, &self.counters, keys::COUNTERS_PARTITION, None).await?;
        probe_transactions(client, &self.users).await
    }
}

/// Looks at a new table until it is active: DynamoDB takes a few seconds.
const ACTIVE_LOOKS: u32 = 60;
const ACTIVE_PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

async fn ensure(client: &Client, table: &str, partition: &str, sort: Option<&str>) -> Result<(), StoreError> {
    match status(client, table).await? {
        Some(TableStatus::Active) => return enable_ttl(client, table).await,
        Some(_) => {}
        None => create(client, table, partition, sort).await?,
    }
    for _ in 0..ACTIVE_LOOKS {
        if status(client, table).await? == Some(TableStatus::Active) {
            return enable_ttl(client, table).await;
        }
        tokio::time::sleep(ACTIVE_PAUSE).await;
    }
    Err(StoreError::Unavailable(format!("table {table} doesn't become active")))
}

async fn status(client: &Client, table: &str) -> Result<Option<TableStatus>, StoreError> {
    match client.describe_table().table_name(table).send().boxed().await {
        Ok(described) => Ok(described.table().and_then(|table| table.table_status().cloned())),
        Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
        Err(error) if error.code() == Some("AccessDeniedException") => Ok(Some(TableStatus::Active)),
        Err(error) => Err(error.into()),
    }
}

async fn create(client: &Client, table: &str, partition: &str, sort: Option<&str>) -> Result<(), StoreError> {
    let keys = [Some((partition, KeyType::Hash)), sort.map(|sort| (sort, KeyType::Range))];
    let mut request = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, key_type) in keys.into_iter().flatten() {
        let schema = KeySchemaElement::builder().attribute_name(name).key_type(key_type).build();
        let definition =
            AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
        let (Ok(schema), Ok(definition)) = (schema, definition) else {
            return Err(StoreError::Corrupt(format!("schema of {table}")));
        };
        request = request.key_schema(schema).attribute_definitions(definition);
    }
    match request.send().boxed().await {
        Ok(_) => {
            tracing::info!(event = "table.created", table);
            Ok(())
        }
        // Another instance was faster.
        Err(error) if error.code() == Some("ResourceInUseException") => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Switches TTL on where it is off; a start that broke off after making the table left it so.
async fn enable_ttl(client: &Client, table: &str) -> Result<(), StoreError> {
    match client.describe_time_to_live().table_name(table).send().boxed().await {
        Ok(described) => {
            let status = described.time_to_live_description().and_then(|described| described.time_to_live_status());
            if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
                return Ok(());
            }
        }
        Err(error) if error.code() == Some("AccessDeniedException") => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let Ok(specification) = TimeToLiveSpecification::builder().enabled(true).attribute_name(keys::TTL).build() else {
        return Err(StoreError::Corrupt(format!("TTL of {table}")));
    };
    match client.update_time_to_live().table_name(table).time_to_live_specification(specification).send().boxed().await
    {
        Ok(_) => Ok(()),
        // Switched on by another instance meanwhile.
        Err(error) if error.code() == Some("ValidationException") => Ok(()),
        // TTL only cleans up; whoever withholds the right does it otherwise.
        Err(error) if error.code() == Some("AccessDeniedException") => {
            tracing::warn!(event = "table.ttl_off", table);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Commits a transaction that changes nothing: a store without transactions is told apart at the start, not at a login.
async fn probe_transactions(client: &Client, users: &str) -> Result<(), StoreError> {
    let check = ConditionCheck::builder()
        .table_name(users)
        .set_key(Some(keys::users_key("probe".to_owned())))
        .condition_expression("attribute_not_exists(#id)")
        .expression_attribute_names("#id", keys::USERS_PARTITION)
        .build()
        .map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let item = TransactWriteItem::builder().condition_check(check).build();
    match client.transact_write_items().transact_items(item).send().boxed().await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("UnknownOperationException") => {
            Err(StoreError::Unavailable("it has no transactions (TransactWriteItems), which logins need".to_owned()))
        }
        Err(error) => Err(error.into()),
    }
}
