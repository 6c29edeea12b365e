//! Those who ask: their cookies, codes and names, and the instances that they ask.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    sync::Arc,
};

use axum::http::Method;
use fastrand::Rng;
use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::{
    model::{Label, Model, Request, Told, step_at},
    search::Asked,
};
use crate::{
    Answer, Authenticator, Browser, PASSWORD, World,
    world::{fresh_address, fresh_name},
};

/// Requests a minute of the limited resource.
pub const LIMIT: usize = 5;
const INSTANCES: usize = 3;

/// Instances over one store that remember sessions; `None` where that can't be.
pub async fn instances() -> Option<Vec<World>> {
    let first = World::remembering_with([("HALLPASS_LIMITS__RESOURCE", "5 per minute")]).await?;
    let mut instances: Vec<World> = (1..INSTANCES).map(|_| first.another_instance()).collect();
    instances.push(first);
    Some(instances)
}

type Jar = BTreeMap<String, String>;

struct Member {
    jar: Jar,
    id: Option<String>,
}

pub(super) struct Players<'a> {
    instances: &'a [World],
    name: String,
    authenticator: Authenticator,
    sessions: HashMap<Label, Member>,
    pending: HashMap<Label, Jar>,
    codes: HashMap<Label, Vec<String>>,
    names: String,
    client: IpAddr,
}

/// One request, ready to be sent.
struct Ready {
    browser: Browser,
    method: Method,
    path: String,
    body: Value,
}

impl<'a> Players<'a> {
    pub(super) async fn gather(instances: &'a [World]) -> Self {
        let (name, mut browser, authenticator, codes) = instances[0].somebody_with_totp().await;
        let id = id_of(&mut browser).await;
        Self {
            instances,
            name,
            authenticator,
            sessions: HashMap::from([(0, Member { jar: browser.cookies, id })]),
            pending: HashMap::new(),
            codes: HashMap::from([(0, codes)]),
            names: fresh_name(),
            client: fresh_address(),
        }
    }

    pub(super) fn world(&self) -> &World {
        &self.instances[0]
    }

    /// What is true at the beginning.
    pub(super) fn model(&self) -> Model {
        Model {
            password: 0,
            // The code that confirmed the enrolment is burnt.
            last_time_step: step_at(self.world().now().as_second()) - 1,
            codes: (0..10).map(|place| (0, place)).collect(),
            sessions: BTreeSet::from([0]),
            pending: BTreeMap::new(),
            names: BTreeSet::new(),
            admitted: Vec::new(),
            quota: LIMIT,
        }
    }

    /// Asks everything at once, each of an instance by chance.
    pub(super) async fn race(&mut self, rng: &mut Rng, drawn: Vec<(Request, Label)>) -> Vec<Asked> {
        let ready: Vec<_> =
            drawn.into_iter().filter_map(|(request, made)| Some((request, made, self.ready(rng, request)?))).collect();
        let barrier = Arc::new(Barrier::new(ready.len()));
        let requests = ready.into_iter().map(|(request, made, ready)| {
            let barrier = Arc::clone(&barrier);
            tokio::spawn(async move {
                barrier.wait().await;
                let (browser, answer) = ready.send().await;
                (request, made, browser, answer)
            })
        });
        let mut asked = Vec::new();
        for done in join_all(requests).await {
            let (request, made, browser, answer) = done.unwrap();
            self.keep(request, made, browser, &answer).await;
            asked.push(Asked { request, told: told(&answer), made });
        }
        asked
    }

    fn ready(&self, rng: &mut Rng, request: Request) -> Option<Ready> {
        let by = |session: Label| self.sessions.get(&session).map(|member| member.jar.clone());
        let post = |jar: Jar, path: &str, body: Value| Some((jar, Method::POST, path.to_owned(), body));
        let get = |jar: Jar, path: &str| Some((jar, Method::GET, path.to_owned(), Value::Null));
        let (jar, method, path, body) = match request {
            Request::Check(session) => get(by(session)?, "/session"),
            Request::Guard(session) => get(by(session)?, "/api/authz/forward-auth"),
            Request::LogOut(session) => post(by(session)?, "/logout", json!({})),
            Request::Revoke(session, other) => {
                let id = self.sessions.get(&other)?.id.as_ref()?;
                Some((by(session)?, Method::DELETE, format!("/sessions/{id}"), Value::Null))
            }
            Request::RevokeOthers(session) => post(by(session)?, "/sessions/revoke-others", json!({})),
            Request::LogIn(number) => {
                post(Jar::new(), "/login", json!({ "username": self.name, "password": password(number) }))
            }
            Request::Verify(login, step) => {
                post(self.pending.get(&login)?.clone(), "/login/verify", json!({ "code": self.code(rng, step) }))
            }
            Request::VerifyByRecoveryCode(login, (set, place)) => {
                let code = &self.codes.get(&set)?[place];
                post(self.pending.get(&login)?.clone(), "/login/verify", json!({ "recovery_code": code }))
            }
            Request::ChangePassword(session, from, to) => {
                let body = json!({ "current_password": password(from), "new_password": password(to) });
                post(by(session)?, "/password", body)
            }
            Request::ReplaceCodes(session, number, step) => {
                let body = json!({ "password": password(number), "code": self.code(rng, step) });
                post(by(session)?, "/recovery-codes", body)
            }
            Request::Register(number, spelling) => {
                let name = spelt(&format!("{}{number}", self.names), spelling);
                post(Jar::new(), "/register", json!({ "username": name, "password": PASSWORD }))
            }
            Request::Resource => get(Jar::new(), "/api/resource"),
        }?;
        let instance = &self.instances[rng.usize(..self.instances.len())];
        // One client's limit; everything else comes from anywhere.
        let address = if request == Request::Resource { self.client } else { fresh_address() };
        let mut browser = instance.browser_at(address);
        browser.cookies = jar;
        Some(Ready { browser, method, path, body })
    }

    /// In one of the spellings that are one code.
    fn code(&self, rng: &mut Rng, step: u64) -> String {
        let seconds = i64::try_from(step * 30).unwrap();
        let code = self.authenticator.code(Timestamp::from_second(seconds).unwrap());
        match rng.u8(..3) {
            0 => format!("{} {}", &code[..3], &code[3..]),
            1 => format!(" {code} "),
            _ => code,
        }
    }

    /// What was handed out.
    async fn keep(&mut self, request: Request, made: Label, mut browser: Browser, answer: &Answer) {
        if !answer.status.is_success() {
            return;
        }
        match request {
            Request::LogIn(_) => drop(self.pending.insert(made, browser.cookies)),
            Request::Verify(..) | Request::VerifyByRecoveryCode(..) | Request::ChangePassword(..) => {
                let id = id_of(&mut browser).await;
                self.sessions.insert(made, Member { jar: browser.cookies, id });
            }
            Request::ReplaceCodes(..) => {
                let codes = answer.value()["recovery_codes"].as_array().unwrap().clone();
                let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
                self.codes.insert(made, codes);
            }
            Request::Check(_)
            | Request::Guard(_)
            | Request::LogOut(_)
            | Request::Revoke(..)
            | Request::RevokeOthers(_)
            | Request::Register(..)
            | Request::Resource => {}
        }
    }
}

impl Ready {
    async fn send(mut self) -> (Browser, Answer) {
        let answer = match self.method {
            Method::POST => self.browser.post(&self.path, self.body).await,
            Method::DELETE => self.browser.delete(&self.path, self.body).await,
            method => self.browser.ask(method, &self.path).await,
        };
        (self.browser, answer)
    }
}

/// The public id of the browser's session, if it still lives.
async fn id_of(browser: &mut Browser) -> Option<String> {
    let answer = browser.clone().get("/session").await;
    answer.status.is_success().then(|| answer.value()["session"]["id"].as_str().unwrap().to_owned())
}

fn told(answer: &Answer) -> Told {
    let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let problem = document["type"].as_str().and_then(|kind| kind.rsplit(':').next()).unwrap_or_default().to_owned();
    Told { status: answer.status.as_u16(), problem }
}

fn password(number: usize) -> String {
    match number {
        0 => PASSWORD.to_owned(),
        number => format!("password number {number} of a history"),
    }
}

/// One name in several spellings.
fn spelt(name: &str, spelling: usize) -> String {
    match spelling {
        0 => name.to_owned(),
        1 => name.to_uppercase(),
        2 => format!(" {name} "),
        _ => name.replace('u', "\u{ff55}"),
    }
}
