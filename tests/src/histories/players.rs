//! Those who ask: their cookies, codes and names, and the instances that they ask.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use axum::http::Method;
use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    model::{Factor, Model, new_codes},
    request::{Code, Label, Offered, Request, Told, step_at},
    search::Asked,
};
use crate::{
    Answer, Authenticator, Browser, PASSWORD, World,
    crowds::at_once,
    world::{fresh_address, fresh_name},
};

/// Requests a minute of the limited resource.
pub const LIMIT: usize = 5;
/// Over one store.
pub const INSTANCES: usize = 3;

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
    authenticators: HashMap<Label, Authenticator>,
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
            authenticators: HashMap::from([(0, authenticator)]),
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

    /// In seconds.
    pub(super) fn now(&self) -> i64 {
        self.world().now().as_second()
    }

    /// What is true at the beginning.
    pub(super) fn model(&self) -> Model {
        Model {
            password: 0,
            // The code that confirmed the enrolment is burnt.
            factor: Some(Factor { secret: 0, last_time_step: step_at(self.now()) - 1 }),
            enrolment: None,
            codes: new_codes(0),
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
        let requests = ready.into_iter().map(|(request, made, ready)| async move {
            let (browser, answer) = ready.send().await;
            (request, made, browser, answer)
        });
        let mut asked = Vec::new();
        for (request, made, browser, answer) in at_once(requests).await {
            self.keep(request, made, browser, &answer).await;
            asked.push(Asked { request, told: told(&answer), made });
        }
        asked
    }

    fn ready(&self, rng: &mut Rng, request: Request) -> Option<Ready> {
        let (method, path) = self.door(rng, request)?;
        let body = self.body(rng, request)?;
        let instance = &self.instances[rng.usize(..self.instances.len())];
        // One client's limit; everything else comes from anywhere.
        let address = if request == Request::Resource { self.client } else { fresh_address() };
        let mut browser = instance.browser_at(address);
        browser.cookies = self.jar(request)?;
        Some(Ready { browser, method, path, body })
    }

    /// The cookies it comes with; `None` if there never were any.
    fn jar(&self, request: Request) -> Option<Jar> {
        match request {
            Request::Check(session)
            | Request::Guard(session)
            | Request::LogOut(session)
            | Request::Revoke(session, _)
            | Request::RevokeOthers(session)
            | Request::ChangePassword(session, ..)
            | Request::Enrol(session, _)
            | Request::Confirm(session, _)
            | Request::Disable(session, ..)
            | Request::ReplaceCodes(session, ..) => self.sessions.get(&session).map(|member| member.jar.clone()),
            Request::Verify(login, _) => self.pending.get(&login).cloned(),
            Request::LogIn(_) | Request::Register(..) | Request::Resource => Some(Jar::new()),
        }
    }

    fn door(&self, rng: &mut Rng, request: Request) -> Option<(Method, String)> {
        let (method, path) = match request {
            Request::Check(_) => (Method::GET, "/session"),
            Request::Guard(_) => (Method::GET, "/api/authz/forward-auth"),
            Request::LogOut(_) => (Method::POST, "/logout"),
            Request::Revoke(_, other) => {
                let id = self.sessions.get(&other)?.id.as_ref()?;
                return Some((Method::DELETE, format!("/sessions/{id}")));
            }
            Request::RevokeOthers(_) => (Method::POST, "/sessions/revoke-others"),
            Request::LogIn(_) => (Method::POST, "/login"),
            Request::Verify(..) => (Method::POST, "/login/verify"),
            Request::ChangePassword(..) => (Method::POST, "/password"),
            Request::Enrol(..) => (Method::POST, "/totp"),
            Request::Confirm(..) => (Method::POST, "/totp/confirm"),
            // Two names of one thing.
            Request::Disable(..) if rng.bool() => (Method::DELETE, "/totp"),
            Request::Disable(..) => (Method::POST, "/totp/disable"),
            Request::ReplaceCodes(..) => (Method::POST, "/recovery-codes"),
            Request::Register(..) => (Method::POST, "/register"),
            Request::Resource => (Method::GET, "/api/resource"),
        };
        Some((method, path.to_owned()))
    }

    fn body(&self, rng: &mut Rng, request: Request) -> Option<Value> {
        Some(match request {
            Request::Check(_) | Request::Guard(_) | Request::Revoke(..) | Request::Resource => Value::Null,
            Request::LogOut(_) | Request::RevokeOthers(_) => json!({}),
            Request::LogIn(number) => json!({ "username": self.name, "password": password(number) }),
            Request::Verify(_, offered) => self.second_step(rng, offered, json!({}))?,
            Request::ChangePassword(_, from, to) => {
                json!({ "current_password": password(from), "new_password": password(to) })
            }
            Request::Enrol(_, number) => json!({ "password": password(number) }),
            Request::Confirm(_, code) => self.second_step(rng, code.into(), json!({}))?,
            Request::Disable(_, number, offered) => {
                self.second_step(rng, offered, json!({ "password": password(number) }))?
            }
            Request::ReplaceCodes(_, number, code) => {
                self.second_step(rng, code.into(), json!({ "password": password(number) }))?
            }
            Request::Register(number, spelling) => {
                let name = spelt(&format!("{}{number}", self.names), spelling);
                json!({ "username": name, "password": PASSWORD })
            }
        })
    }

    /// The body, with the second step in it.
    fn second_step(&self, rng: &mut Rng, offered: Offered, mut body: Value) -> Option<Value> {
        match offered {
            Offered::Code(code) => body["code"] = self.digits(rng, code)?.into(),
            Offered::RecoveryCode((set, place)) => body["recovery_code"] = self.codes.get(&set)?[place].clone().into(),
        }
        Some(body)
    }

    /// In one of the spellings that are one code; `None` if by chance it is another code too.
    fn digits(&self, rng: &mut Rng, code: Code) -> Option<String> {
        let digits = self.shown(code)?;
        let near = step_at(self.now());
        let others = self.authenticators.keys().flat_map(|secret| (near - 1..=near + 1).map(|step| (*secret, step)));
        let mut others = others.map(|(secret, step)| Code { secret, step }).filter(|other| *other != code);
        if others.any(|other| self.shown(other).as_ref() == Some(&digits)) {
            return None;
        }
        Some(match rng.u8(..3) {
            0 => format!("{} {}", &digits[..3], &digits[3..]),
            1 => format!(" {digits} "),
            _ => digits,
        })
    }

    fn shown(&self, Code { secret, step }: Code) -> Option<String> {
        let at = Timestamp::from_second(i64::try_from(step * 30).ok()?).ok()?;
        Some(self.authenticators.get(&secret)?.code(at))
    }

    /// What was handed out.
    async fn keep(&mut self, request: Request, made: Label, browser: Browser, answer: &Answer) {
        if !answer.status.is_success() {
            return;
        }
        match request {
            Request::LogIn(_) if browser.cookies.contains_key("__Host-login") => {
                self.pending.insert(made, browser.cookies);
            }
            Request::LogIn(_) | Request::Verify(..) | Request::ChangePassword(..) | Request::Disable(..) => {
                self.keep_session(made, browser).await;
            }
            Request::Enrol(..) => {
                let secret = answer.value()["secret"].as_str().map(Authenticator::scan);
                self.authenticators.extend(secret.map(|authenticator| (made, authenticator)));
            }
            Request::Confirm(..) => {
                self.codes.insert(made, recovery_codes(answer));
                self.keep_session(made, browser).await;
            }
            Request::ReplaceCodes(..) => drop(self.codes.insert(made, recovery_codes(answer))),
            Request::Check(_)
            | Request::Guard(_)
            | Request::LogOut(_)
            | Request::Revoke(..)
            | Request::RevokeOthers(_)
            | Request::Register(..)
            | Request::Resource => {}
        }
    }

    async fn keep_session(&mut self, made: Label, mut browser: Browser) {
        let id = id_of(&mut browser).await;
        self.sessions.insert(made, Member { jar: browser.cookies, id });
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
    // The guard has no body to tell it in.
    let header = answer.headers.get("x-hallpass-level").and_then(|level| level.to_str().ok());
    let level = header.or(document["session"]["level"].as_str()).unwrap_or_default().to_owned();
    Told { status: answer.status.as_u16(), problem, level }
}

fn recovery_codes(answer: &Answer) -> Vec<String> {
    let codes = answer.value()["recovery_codes"].as_array().cloned().unwrap_or_default();
    codes.iter().filter_map(|code| code.as_str().map(str::to_owned)).collect()
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
