//! What somebody does that may meet a fault.

use axum::http::{HeaderMap, StatusCode};
use hallpass_tests::{Answer, Authenticator, Browser, PASSWORD, World, world::fresh_name};
use serde_json::{Value, json};

pub(super) const NEW_PASSWORD: &str = "another good password";

/// One request that may meet a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Journey {
    Register,
    LogIn,
    LogInHalfway,
    VerifyByCode,
    VerifyByRecoveryCode,
    LogOut,
    Session,
    Sessions,
    RevokeOne,
    RevokeOthers,
    ChangePassword,
    StartTotp,
    ConfirmTotp,
    TurnOffTotp,
    ReplaceRecoveryCodes,
    Resource,
    ForwardAuth,
    AuthRequest,
    ExtAuthz,
    Authorizer,
    WrongPassword,
    UnknownName,
    WrongCode,
    UsedCode,
    EndedSession,
    EndedSessionAtTheGuard,
}

impl Journey {
    /// Every one.
    pub(super) const ALL: [Self; 26] = [
        Self::Register,
        Self::LogIn,
        Self::LogInHalfway,
        Self::VerifyByCode,
        Self::VerifyByRecoveryCode,
        Self::LogOut,
        Self::Session,
        Self::Sessions,
        Self::RevokeOne,
        Self::RevokeOthers,
        Self::ChangePassword,
        Self::StartTotp,
        Self::ConfirmTotp,
        Self::TurnOffTotp,
        Self::ReplaceRecoveryCodes,
        Self::Resource,
        Self::ForwardAuth,
        Self::AuthRequest,
        Self::ExtAuthz,
        Self::Authorizer,
        Self::WrongPassword,
        Self::UnknownName,
        Self::WrongCode,
        Self::UsedCode,
        Self::EndedSession,
        Self::EndedSessionAtTheGuard,
    ];

    /// What is answered when all is well.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Register => 201,
            Self::LogOut | Self::RevokeOne | Self::TurnOffTotp | Self::ChangePassword => 204,
            Self::WrongPassword
            | Self::UnknownName
            | Self::WrongCode
            | Self::UsedCode
            | Self::EndedSession
            | Self::EndedSessionAtTheGuard => 401,
            Self::LogIn
            | Self::LogInHalfway
            | Self::VerifyByCode
            | Self::VerifyByRecoveryCode
            | Self::Session
            | Self::Sessions
            | Self::RevokeOthers
            | Self::StartTotp
            | Self::ConfirmTotp
            | Self::ReplaceRecoveryCodes
            | Self::Resource
            | Self::ForwardAuth
            | Self::AuthRequest
            | Self::ExtAuthz
            | Self::Authorizer => 200,
        }
    }

    fn has_totp(self) -> bool {
        use Journey::*;
        matches!(
            self,
            LogInHalfway
                | VerifyByCode
                | VerifyByRecoveryCode
                | TurnOffTotp
                | ReplaceRecoveryCodes
                | WrongCode
                | UsedCode
        )
    }

    /// Whether it reads a session, whose use is noted from time to time; that may be lost.
    pub(super) fn reads_a_session(self) -> bool {
        use Journey::*;
        matches!(self, Session | Sessions | ForwardAuth | AuthRequest | ExtAuthz | Authorizer)
    }
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
        let (other, other_id) = (world.browser(), String::new());
        let mut scene = Self { world, name, traveller, other, other_id, authenticator, codes };
        scene.other = scene.logged_in(PASSWORD).await;
        scene.other_id = scene.other.get("/session").await.value()["session"]["id"].as_str().unwrap().to_owned();
        scene.prepare(journey).await;
        scene
    }

    async fn prepare(&mut self, journey: Journey) {
        use Journey::*;
        match journey {
            Register => (self.name, self.traveller) = (fresh_name(), self.world.browser()),
            LogIn | LogInHalfway | WrongPassword | UnknownName => self.traveller = self.world.browser(),
            VerifyByCode | VerifyByRecoveryCode | WrongCode => self.traveller = self.halfway().await,
            UsedCode => {
                self.logged_in(PASSWORD).await;
                self.world.pass(-30);
                self.traveller = self.halfway().await;
            }
            ConfirmTotp => {
                let started = self.traveller.post("/totp", json!({ "password": PASSWORD })).await.expect(200).value();
                self.authenticator = Some(Authenticator::scan(started["secret"].as_str().unwrap()));
            }
            EndedSession | EndedSessionAtTheGuard => {
                let ended = self.traveller.clone();
                self.traveller.post("/logout", json!({})).await.expect(204);
                self.traveller = ended;
            }
            Session | Sessions | ForwardAuth | AuthRequest | ExtAuthz | Authorizer => self.world.pass(600),
            LogOut | RevokeOne | RevokeOthers | ChangePassword | StartTotp | TurnOffTotp | ReplaceRecoveryCodes
            | Resource => {}
        }
    }

    /// Sets off.
    pub(super) async fn go(&mut self, journey: Journey) -> Answer {
        use Journey::*;
        let code = |scene: &Self| json!({ "code": scene.code() });
        let both = |scene: &Self| json!({ "password": PASSWORD, "code": scene.code() });
        let credentials = json!({ "username": self.name, "password": PASSWORD });
        let (path, body) = match journey {
            Register => ("/register", credentials),
            LogIn | LogInHalfway => ("/login", credentials),
            WrongPassword => ("/login", json!({ "username": self.name, "password": "not the password" })),
            UnknownName => ("/login", json!({ "username": fresh_name(), "password": PASSWORD })),
            VerifyByCode | UsedCode => ("/login/verify", code(self)),
            VerifyByRecoveryCode => ("/login/verify", json!({ "recovery_code": self.codes[0] })),
            WrongCode => {
                let code = self.authenticator.as_ref().unwrap().wrong_code(self.world.now());
                ("/login/verify", json!({ "code": code }))
            }
            LogOut => ("/logout", json!({})),
            ChangePassword => ("/password", json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD })),
            StartTotp => ("/totp", json!({ "password": PASSWORD })),
            ConfirmTotp => ("/totp/confirm", code(self)),
            ReplaceRecoveryCodes => ("/recovery-codes", both(self)),
            Session | EndedSession => return self.traveller.get("/session").await,
            Sessions => return self.traveller.get("/sessions").await,
            Resource => return self.traveller.get("/api/resource").await,
            ForwardAuth | EndedSessionAtTheGuard => return self.traveller.get("/api/authz/forward-auth").await,
            AuthRequest => return self.traveller.get("/api/authz/auth-request").await,
            ExtAuthz => return self.traveller.get("/api/authz/ext-authz").await,
            RevokeOthers => return self.traveller.delete("/sessions", Value::Null).await,
            RevokeOne => return self.traveller.delete(&format!("/sessions/{}", self.other_id), Value::Null).await,
            TurnOffTotp => ("/totp/disable", both(self)),
            Authorizer => return self.authorized().await,
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

    /// The code that is shown now.
    pub(super) fn code(&self) -> String {
        self.authenticator.as_ref().unwrap().code(self.world.now())
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
        let mut browser = self.world.browser();
        let answer = browser.log_in_with(&self.name, password).await.expect(200).value();
        if answer["next"] == "verify" {
            browser.verify(&self.code()).await.expect(200);
            self.world.pass(30);
        }
        browser
    }
}
