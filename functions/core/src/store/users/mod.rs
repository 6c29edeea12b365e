//! The users table: users, what was guessed at them, and the pointers that keep names unique.

mod change;
mod record;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    primitives::Blob,
    types::{AttributeValue, Put},
};
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use self::change::{Change, Factor, attribute};
pub(crate) use self::{change::Spent, record::read_account};
use super::{Item, Refused, StoreError, Write, blob, keys, millis, names, number, tables::TableNames, ttl};
use crate::{
    accounts::{
        email::Email,
        guessing::{Guesses, Lane},
        hasher::Phc,
        user::{Account, PendingEnrolment, SealedSecret, User, UserId},
        username::Username,
    },
    clock::later,
    store,
};

/// The power to read accounts and to change credentials.
#[derive(Debug, Clone)]
pub struct Users {
    client: Client,
    table: String,
}

/// A change of the second factor, as part of a credential change.
#[derive(Debug, Clone)]
pub(crate) enum FactorChange {
    /// The started enrolment becomes the factor; its first step is burnt.
    Enable { time_step: u64, recovery_digests: Vec<Vec<u8>> },
    /// The factor goes, with its codes.
    Disable,
}

/// How long guesses at names that nobody has are remembered: longer than the longest wait between two of them.
const SHADOW_KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

impl Users {
    /// The accounts among `tables`.
    #[must_use]
    pub fn new(client: Client, tables: &TableNames) -> Self {
        Self { client, table: tables.users.clone() }
    }

    /// The id behind a user name.
    pub(crate) async fn id_of(&self, username: &Username) -> Result<Option<UserId>, StoreError> {
        let Some(item) = self.read(keys::name(username)).await? else {
            return Ok(None);
        };
        let id = item.get(attribute::USER).and_then(|id| id.as_s().ok()).and_then(|id| Uuid::parse_str(id).ok());
        id.map(|id| Some(UserId(id))).ok_or_else(|| StoreError::Corrupt("a name pointer".to_owned()))
    }

    /// Everything under one id, strongly consistent.
    pub(crate) async fn account(&self, id: UserId) -> Result<Account, StoreError> {
        let item = self.read(keys::user(id)).await?.unwrap_or_default();
        read_account(id, item)
    }

    /// A read that finds nothing: shows that the table answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(keys::user(UserId(Uuid::nil()))).await.map(drop)
    }

    async fn read(&self, id: String) -> Result<Option<Item>, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(keys::users_key(id)))
            .consistent_read(true)
            .send()
            .boxed()
            .await?;
        Ok(found.item)
    }

    /// Records one more wrong password, if the count is still the one in `before`; otherwise returns the account as it stands.
    ///
    /// Works alike for ids that nobody has, so that nothing tells them apart; those items expire.
    pub(crate) async fn record_password_failure(
        &self,
        before: &Account,
        lane: Lane,
        after: Guesses,
        now: Timestamp,
    ) -> Result<Result<(), Account>, StoreError> {
        let outcome = self.password_failure(before, lane, after, now).send().boxed().await;
        match outcome.map_err(SdkError::into_service_error) {
            Ok(_) => Ok(Ok(())),
            Err(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Err(read_account(before.id, failed.item().cloned().unwrap_or_default())?))
            }
            // A transaction is at the item: the guess is counted after it.
            Err(UpdateItemError::TransactionConflictException(_)) => {
                store::pause_for_conflict().await;
                Ok(Err(self.account(before.id).await?))
            }
            Err(error) => Err(StoreError::unanswered(&error)),
        }
    }

    /// One more wrong code, up to the count that closes the lane. Needs no count that was read before, so codes that
    /// race are all counted.
    pub(crate) fn code_failure(&self, user: UserId, lane: Lane) -> Result<Write, StoreError> {
        let mut change = Change::default();
        // A user who is deleted meanwhile must not come back as a count.
        change.require_present(attribute::PHC);
        change.require_not_closed(Factor::Code, lane);
        change.increment(attribute::failures(Factor::Code, lane));
        change.write(&self.table, user)
    }

    fn password_failure(
        &self,
        before: &Account,
        lane: Lane,
        after: Guesses,
        now: Timestamp,
    ) -> UpdateItemFluentBuilder {
        let mut change = Change::default();
        let failures = attribute::failures(Factor::Password, lane);
        match before.password_guesses(lane).failures {
            0 => change.require_absent(failures),
            counted => change.require_equal(failures, number(counted)),
        }
        change.set(failures, number(after.failures));
        if let Some(retry_at) = after.retry_at {
            change.set(attribute::retry_at(Factor::Password, lane), millis(retry_at));
        }
        match before.user {
            Some(_) => change.require_present(attribute::PHC),
            None => {
                // Who was not found may be there all the same, and must not expire.
                change.require_absent(attribute::PHC);
                change.set(keys::TTL, ttl(later(now, SHADOW_KEPT)));
            }
        }
        change.update_item(&self.client, &self.table, before.id)
    }

    /// The writes that make an account: the user and the pointers that keep its names unique, in this order.
    pub(crate) fn create(
        &self,
        user: &User,
        username: &Username,
        email: Option<&Email>,
    ) -> Result<Vec<Write>, StoreError> {
        let mut item = keys::users_key(keys::user(user.profile.id));
        item.insert("username".to_owned(), AttributeValue::S(user.profile.username.clone()));
        item.insert("created_at".to_owned(), millis(user.profile.created_at));
        item.insert(attribute::VERSION.to_owned(), number(user.credential_version.0));
        item.insert(attribute::PHC.to_owned(), AttributeValue::S(user.phc.as_str().to_owned()));
        if let Some(email) = email {
            item.insert("email".to_owned(), AttributeValue::S(email.as_str().to_owned()));
        }
        let pointers = [Some(keys::name(username)), email.map(keys::email)];
        let pointer = |key: String| {
            let mut item = keys::users_key(key);
            item.insert(attribute::USER.to_owned(), AttributeValue::S(user.profile.id.to_string()));
            item
        };
        std::iter::once(item)
            .chain(pointers.into_iter().flatten().map(pointer))
            .map(|item| self.put_new(item))
            .collect()
    }

    fn put_new(&self, item: Item) -> Result<Write, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#id)")
            .set_expression_attribute_names(names([("#id", keys::USERS_PARTITION)]));
        Write::put(put)
    }

    /// After the right password: clears its failures and stores a rehash, on condition that nothing else has changed.
    ///
    /// The condition holds the guesses made meanwhile against this one too: of a thousand in parallel only those
    /// count that commit before the lane is held (attack 5.18).
    pub(crate) fn password_proven(
        &self,
        account: &Account,
        user: &User,
        lane: Lane,
        rehashed: Option<&Phc>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.require_lane_admits(Factor::Password, lane, now);
        if account.has_password_failures() {
            change.clear(Factor::Password, [Lane::Stranger, Lane::Known]);
        }
        if let Some(phc) = rehashed {
            change.set(attribute::PHC, AttributeValue::S(phc.as_str().to_owned()));
        }
        change.write(&self.table, user.profile.id)
    }

    /// After the right second step: burns what proved it, clears the factor's failures and stores a secret sealed anew.
    pub(crate) fn second_step_proven(
        &self,
        user: &User,
        spent: &Spent,
        lane: Lane,
        resealed: Option<&SealedSecret>,
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.spend(spent, lane);
        if let Some(SealedSecret(sealed)) = resealed {
            change.set(attribute::TOTP, blob(sealed));
        }
        change.write(&self.table, user.profile.id)
    }

    /// Starts an enrolment, in place of one that was started before.
    pub(crate) fn enrolment_started(&self, user: &User, enrolment: &PendingEnrolment) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.set(attribute::ENROLMENT, blob(&enrolment.secret.0));
        change.set(attribute::ENROLMENT_EXPIRES, millis(enrolment.expires_at));
        change.set(attribute::ENROLMENT_FAILURES, number(0));
        change.require_absent(attribute::TOTP);
        change.write(&self.table, user.profile.id)
    }

    /// One more wrong code at an enrolment that has tries left.
    pub(crate) fn enrolment_failed(
        &self,
        user: &User,
        enrolment: &PendingEnrolment,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.require_enrolment(enrolment, now);
        change.increment(attribute::ENROLMENT_FAILURES);
        change.write(&self.table, user.profile.id)
    }

    /// A new password: a credential change.
    pub(crate) fn password_changed(&self, user: &User, phc: &Phc) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.set(attribute::PHC, AttributeValue::S(phc.as_str().to_owned()));
        change.next_version(user);
        change.write(&self.table, user.profile.id)
    }

    /// Two-step verification on or off: a credential change.
    pub(crate) fn factor_changed(
        &self,
        user: &User,
        factor: &FactorChange,
        spent: Option<&Spent>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        match factor {
            FactorChange::Enable { time_step, recovery_digests } => {
                let Some(enrolment) = &user.enrolment else {
                    return Err(StoreError::Corrupt("no enrolment to confirm".to_owned()));
                };
                change.require_enrolment(enrolment, now);
                change.require_absent(attribute::TOTP);
                change.set(attribute::TOTP, blob(&enrolment.secret.0));
                change.set(attribute::LAST_STEP, number(time_step));
                change.set(attribute::RECOVERY, digests(recovery_digests));
            }
            FactorChange::Disable => {
                spent.iter().for_each(|spent| change.require_unspent(spent, Lane::Known));
                change.remove(attribute::TOTP);
                change.remove(attribute::LAST_STEP);
                change.remove(attribute::RECOVERY);
            }
        }
        [attribute::ENROLMENT, attribute::ENROLMENT_EXPIRES, attribute::ENROLMENT_FAILURES]
            .into_iter()
            .for_each(|name| change.remove(name));
        change.clear(Factor::Code, [Lane::Stranger, Lane::Known]);
        change.next_version(user);
        change.write(&self.table, user.profile.id)
    }

    /// New recovery codes in place of all old ones, spending a code.
    pub(crate) fn recovery_codes_replaced(
        &self,
        user: &User,
        spent: &Spent,
        recovery_digests: &[Vec<u8>],
    ) -> Result<Write, StoreError> {
        let mut change = Change::new(user);
        change.require_unspent(spent, Lane::Known);
        if let Spent::TimeStep(step) = spent {
            change.set(attribute::LAST_STEP, number(step));
        }
        change.set(attribute::RECOVERY, digests(recovery_digests));
        change.clear(Factor::Code, [Lane::Known]);
        change.write(&self.table, user.profile.id)
    }

    /// Commits a single write.
    pub(crate) async fn commit(&self, write: Write) -> Result<Result<(), Refused>, StoreError> {
        store::commit(&self.client, vec![write]).await
    }
}

fn digests(digests: &[Vec<u8>]) -> AttributeValue {
    AttributeValue::Bs(digests.iter().map(|digest| Blob::new(digest.clone())).collect())
}
