//! What a journey needs, and how somebody goes on it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use axum::http::{HeaderMap, StatusCode};
use hallpass_core::accounts::guessing::Guesses;
use hallpass_tests::{
    Answer, Authenticator, Browser, PASSWORD, World,
    faults::Faults,
    world::{TEST_KEY, fresh_name},
};
use serde_json::{Value, json};

use super::journey::Journey;

type Item = HashMap<String, AttributeValue>;

pub(super) const NEW_PASSWORD: &str = "another good password";
/// Sessions that one account has at most.
pub(super) const SESSIONS_MAX: usize = 5;
/// Requests that pass a limit of the guarded API in a minute.
pub(super) const ORDERS_PER_MINUTE: usize = 3;

/// Where a proxy asks for an API that has this limit.
pub(super) const GUARDED_BY_A_LIMIT: &str = "/api/authz/forward-auth?limit=orders";

/// The same for a limit that is kept in two logs, of which the first refuses.
const GUARDED_BY_TWO_LOGS: &str = "/api/authz/forward-auth?limit=parcels";

/// Writes that DynamoDB commits at once.
const TRANSACTION_MAX: usize = 100;

/// Opens what it sealed, and seals no more.
const OLDER_KEY: [u8; 32] = [6; 32];

/// A world that meets faults; `None` where there are none to be met.
pub(super) async fn world(faults: &Faults, retries: bool) -> Option<World> {
    let vars = [
        ("HALLPASS_SESSION__MAX_PER_USER", &*SESSIONS_MAX.to_string()),
        ("HALLPASS_GUARD__LIMITS__ORDERS", &format!("{ORDERS_PER_MINUTE} per minute")),
        ("HALLPASS_GUARD__LIMITS__PARCELS", &format!("{ORDERS_PER_MINUTE} per minute; 1000 per day")),
    ];
    let world = World::faulty(vars, faults, retries).await?;
    Some(world.instance_with_keys([TEST_KEY, OLDER_KEY]))
}

/// Somebody with two sessions, and with whatever a journey needs.
pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) name: String,
    /// Goes on the journey.
    pub(super) traveller: Browser,
    /// A session of the same account.
    pub(super) other: Browser,
    /// Its public id.
    pub(super) other_id: String,
    /// The session that the journey is to end, where it opens another for it.
    pub(super) former: Option<Browser>,
    pub(super) authenticator: Option<Authenticator>,
    pub(super) codes: Vec<String>,
}

impl<'a> Scene<'a> {
    pub(super) async fn set(world: &'a World, journey: Journey) -> Self {
        let (name, mut traveller) = world.somebody().await;
        let (mut authenticator, mut codes) = (None, Vec::new());
        if journey.has_totp() {
            let (scanned, shown) = traveller.enable_totp(world.now()).await;
            (authenticator, codes) = (Some(scanned), shown);
            world.pass(30);
        }
        let (other, other_id, former) = (world.browser(), String::new(), None);
        let mut scene = Self { world, name, traveller, other, other_id, former, authenticator, codes };
        scene.other = scene.logged_in(PASSWORD).await;
        scene.other_id = scene.other.get("/session").await.value()["session"]["id"].as_str().unwrap().to_owned();
        scene.prepare(journey).await;
        scene
    }

    async fn prepare(&mut self, journey: Journey) {
        use Journey::*;
        match journey {
            Register | RegisterWithAddress => (self.name, self.traveller) = (fresh_name(), self.world.browser()),
            LogIn | LogInByForm | LogInHalfway | WrongPassword | UnknownName => self.traveller = self.world.browser(),
            LogInAgain => self.former = Some(self.traveller.clone()),
            LogInAtTheCap => self.fill_up().await,
            LogInAtAnOlderCost => {
                let older = self.world.instance_with_settings(|settings| settings.password.memory_kib /= 2);
                (self.name, self.other) = older.somebody().await;
                self.traveller = self.world.browser();
            }
            LogOutHalfway => {
                self.traveller.log_in(&self.name.clone()).await;
                self.former = Some(self.traveller.clone());
            }
            RevokeMany => self.begin_many_logins().await,
            VerifyUnderANewKey => self.seal_under_an_older_key().await,
            OverALimit => self.use_up_a_limit().await,
            HeldPassword => {
                for _ in 0..Guesses::FREE {
                    self.world.browser().log_in_with(&self.name, "not the password").await.expect(401);
                }
                self.traveller = self.world.browser();
            }
            NameTaken => self.traveller = self.world.browser(),
            AddressTaken => {
                (self.name, self.other, self.traveller) = (fresh_name(), self.world.browser(), self.world.browser());
                self.other.post("/register", self.registration()).await.expect(201);
            }
            VerifyByCode | VerifyByRecoveryCode | WrongCode => self.traveller = self.halfway().await,
            UsedCode => {
                self.logged_in(PASSWORD).await;
                self.world.pass(-30);
                self.traveller = self.halfway().await;
            }
            ConfirmTotp | WrongEnrolmentCode => {
                let started = self.traveller.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
                self.authenticator = Some(Authenticator::scan(started["secret"].as_str().unwrap()));
            }
            EndedSession | EndedSessionAtTheGuard | EndedSessionAtTheAuthorizer => {
                let ended = self.traveller.clone();
                self.traveller.post("/logout", json!({})).await.expect(204);
                self.traveller = ended;
            }
            Page => {
                self.traveller = self.traveller.clone().header("accept", "text/html");
                self.world.pass(600);
            }
            Session | Sessions | ForwardAuth | AuthRequest | ExtAuthz | GuardedByALimit | Authorizer => {
                self.world.pass(600);
            }
            LogOut
            | RevokeOne
            | RevokeOthers
            | ChangePassword
            | StartTotp
            | TurnOffTotp
            | TurnOffTotpByRecoveryCode
            | ReplaceRecoveryCodes
            | WrongPasswordAgain
            | WrongCodeAgain
            | Resource => {}
        }
    }

    /// As many sessions as one may have; the oldest is to go.
    async fn fill_up(&mut self) {
        self.other.delete("/sessions", Value::Null).await.expect(200);
        self.former = Some(self.other.clone());
        for _ in 1..SESSIONS_MAX {
            self.world.pass(1);
            self.other = self.logged_in(PASSWORD).await;
        }
        self.traveller = self.world.browser();
    }

    /// More logins that wait for their second step than one transaction ends: one, and copies of it.
    async fn begin_many_logins(&mut self) {
        self.halfway().await;
        let one = self.pending_logins().await.remove(0);
        let mut copies = Vec::new();
        for number in 100..100 + TRANSACTION_MAX {
            let sid = format!("login#{number}{}", &one["sid"].as_s().unwrap()["login#000".len()..]);
            let put = Put::builder().table_name(self.world.table("sessions")).set_item(Some(one.clone()));
            let put = put.item("sid", AttributeValue::S(sid)).build().unwrap();
            copies.push(TransactWriteItem::builder().put(put).build());
        }
        let written = self.world.client().transact_write_items().set_transact_items(Some(copies)).send();
        Box::pin(written).await.unwrap();
    }

    /// An account whose second step was sealed under a key that seals no more.
    async fn seal_under_an_older_key(&mut self) {
        let older = self.world.instance_with_keys([OLDER_KEY]);
        let (name, _, authenticator, codes) = older.somebody_with_totp().await;
        (self.name, self.authenticator, self.codes) = (name, Some(authenticator), codes);
        self.other = self.logged_in_at(&older, PASSWORD).await;
        self.traveller = self.halfway().await;
    }

    /// At another instance, for this one would remember it.
    async fn use_up_a_limit(&mut self) {
        let mut elsewhere = self.world.another_instance().browser_at(self.traveller.address());
        elsewhere.cookies.clone_from(&self.traveller.cookies);
        for _ in 0..ORDERS_PER_MINUTE {
            elsewhere.get(GUARDED_BY_TWO_LOGS).await.expect(200);
        }
    }

    /// Sets off.
    pub(super) async fn go(&mut self, journey: Journey) -> Answer {
        use Journey::*;
        let code = |scene: &Self| json!({ "code": scene.code() });
        let credentials = json!({ "username": self.name, "password": PASSWORD });
        let (path, body) = match journey {
            Register => ("/register", credentials),
            RegisterWithAddress => ("/register", self.registration()),
            LogIn | LogInHalfway | LogInAgain | LogInAtTheCap | LogInAtAnOlderCost | HeldPassword => {
                ("/login", credentials)
            }
            LogInByForm => {
                let fields = [("username", self.name.as_str()), ("password", PASSWORD)];
                return self.traveller.form("/login", &fields).await;
            }
            WrongPassword => ("/login", json!({ "username": self.name, "password": "not the password" })),
            UnknownName => ("/login", json!({ "username": fresh_name(), "password": PASSWORD })),
            VerifyByCode | VerifyUnderANewKey | UsedCode => ("/login/verify", code(self)),
            VerifyByRecoveryCode => ("/login/verify", json!({ "recovery_code": self.codes[0] })),
            WrongCode => ("/login/verify", json!({ "code": self.wrong_code() })),
            WrongCodeAgain => ("/totp/disable", json!({ "password": PASSWORD, "code": self.wrong_code() })),
            WrongEnrolmentCode => ("/totp/confirm", json!({ "code": self.wrong_code() })),
            WrongPasswordAgain => {
                ("/password", json!({ "current_password": "not the password", "new_password": NEW_PASSWORD }))
            }
            NameTaken => ("/register", json!({ "username": self.name, "password": NEW_PASSWORD })),
            AddressTaken => {
                ("/register", json!({ "username": self.newcomer(), "password": PASSWORD, "email": self.address() }))
            }
            LogOut | LogOutHalfway => ("/logout", json!({})),
            ChangePassword => ("/password", json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD })),
            StartTotp => ("/totp", json!({ "password": PASSWORD })),
            ConfirmTotp => ("/totp/confirm", code(self)),
            ReplaceRecoveryCodes => ("/recovery-codes", self.both()),
            Session | EndedSession => return self.traveller.get("/session").await,
            Sessions => return self.traveller.get("/sessions").await,
            Page => return self.traveller.get("/account").await,
            Resource => return self.traveller.get("/api/resource").await,
            ForwardAuth | EndedSessionAtTheGuard => return self.traveller.get("/api/authz/forward-auth").await,
            AuthRequest => return self.traveller.get("/api/authz/auth-request").await,
            ExtAuthz => return self.traveller.get("/api/authz/ext-authz").await,
            GuardedByALimit => return self.traveller.get(GUARDED_BY_A_LIMIT).await,
            OverALimit => return self.traveller.get(GUARDED_BY_TWO_LOGS).await,
            RevokeOthers | RevokeMany => return self.traveller.delete("/sessions", Value::Null).await,
            RevokeOne => return self.traveller.delete(&format!("/sessions/{}", self.other_id), Value::Null).await,
            TurnOffTotp => ("/totp/disable", self.both()),
            TurnOffTotpByRecoveryCode => ("/totp/disable", self.recovery()),
            Authorizer | EndedSessionAtTheAuthorizer => return self.authorized().await,
        };
        self.traveller.post(path, body).await
    }

    /// What API Gateway hears, as a status.
    async fn authorized(&self) -> Answer {
        let cookies = self.traveller.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let event = json!({
            "version": "2.0",
            "type": "REQUEST",
            "cookies": cookies.collect::<Vec<_>>(),
            "headers": {},
            "requestContext": { "http": { "method": "GET", "sourceIp": self.traveller.address() } },
        });
        let answer = self.world.authorize(event).await;
        let status = match &answer {
            Ok(answer) if answer["isAuthorized"] == true => StatusCode::OK,
            Ok(_) => StatusCode::UNAUTHORIZED,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Answer { status, headers: HeaderMap::new(), body: format!("{answer:?}").into_bytes() }
    }

    /// A name and the address that goes with it.
    pub(super) fn registration(&self) -> Value {
        json!({ "username": self.name, "password": PASSWORD, "email": self.address() })
    }

    pub(super) fn address(&self) -> String {
        format!("{}@example.org", self.name)
    }

    /// Who would share the address.
    pub(super) fn newcomer(&self) -> String {
        self.name.replace("user", "new")
    }

    /// The password and the code that is shown now.
    pub(super) fn both(&self) -> Value {
        json!({ "password": PASSWORD, "code": self.code() })
    }

    /// The password and a recovery code.
    pub(super) fn recovery(&self) -> Value {
        json!({ "password": PASSWORD, "recovery_code": self.codes[0] })
    }

    /// How many sessions the account has, if `other` is one of them.
    pub(super) async fn sessions(&mut self) -> usize {
        self.other.get("/sessions").await.expect(200).value()["sessions"].as_array().unwrap().len()
    }

    /// How many recovery codes count. No page tells it, so the store does.
    pub(super) async fn recovery_codes_left(&mut self) -> usize {
        self.account().await["recovery_digests"].as_bs().unwrap().len()
    }

    /// How many failures are counted under this name: no answer tells it.
    pub(super) async fn failures(&mut self, name: &str) -> u32 {
        self.account().await.get(name).map_or(0, |count| count.as_n().unwrap().parse().unwrap())
    }

    /// The account that `other` is logged in to, as it is stored.
    async fn account(&mut self) -> Item {
        let key = AttributeValue::S(format!("user#{}", self.user_id().await));
        let (client, table) = (self.world.client(), self.world.table("users"));
        Box::pin(client.get_item().table_name(table).key("id", key).send()).await.unwrap().item.unwrap()
    }

    /// The logins that wait for their second step, as they are stored.
    pub(super) async fn pending_logins(&mut self) -> Vec<Item> {
        let session = self.traveller.get("/session").await.expect(200).value();
        let user = AttributeValue::S(session["user"]["id"].as_str().unwrap().to_owned());
        let query = self.world.client().query().table_name(self.world.table("sessions"));
        let query = query.key_condition_expression("user_id = :user AND begins_with(sid, :login)");
        let query = query.expression_attribute_values(":login", AttributeValue::S("login#".to_owned()));
        Box::pin(query.expression_attribute_values(":user", user).send()).await.unwrap().items.unwrap()
    }

    async fn user_id(&mut self) -> String {
        let session = self.other.get("/session").await.expect(200).value();
        session["user"]["id"].as_str().unwrap().to_owned()
    }

    /// The code that is shown now.
    pub(super) fn code(&self) -> String {
        self.authenticator.as_ref().unwrap().code(self.world.now())
    }

    fn wrong_code(&self) -> String {
        self.authenticator.as_ref().unwrap().wrong_code(self.world.now())
    }

    /// A browser that has given the password, and owes the second step.
    pub(super) async fn halfway(&self) -> Browser {
        let mut browser = self.world.browser();
        let answer = browser.log_in(&self.name).await.value();
        assert_eq!(answer["next"], "verify");
        browser
    }

    /// Another session, by the second step if there is one; the code is burnt and the next one shown.
    pub(super) async fn logged_in(&self, password: &str) -> Browser {
        self.logged_in_at(self.world, password).await
    }

    /// The same at another instance.
    pub(super) async fn logged_in_at(&self, instance: &World, password: &str) -> Browser {
        let mut browser = instance.browser();
        let answer = browser.log_in_with(&self.name, password).await.expect(200).value();
        if answer["next"] == "verify" {
            browser.verify(&self.code()).await.expect(200);
            self.world.pass(30);
        }
        browser
    }
}
