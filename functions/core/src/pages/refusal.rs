//! Problems as pages, for browsers that sent a form or went to an address: the same status and headers; the form again
//! with what is wrong with it, where there is one.

use askama::Template;
use axum::{
    extract::Request,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::{
    filled::Filled,
    form::Form,
    trouble::Trouble,
    visit::{Frame, Visit, login_with_next},
    words::Words,
};
use crate::{
    app::Keyless,
    http::{
        accept::accepts_pages,
        body::Style,
        problem::{Kind, Problem},
        reply::see_other,
    },
};

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame<'a>,
    words: &'a Words,
    status: u16,
    trouble: Trouble,
    back: String,
    back_text: &'a str,
}

/// What is for programs, even where a browser asks.
const FOR_PROGRAMS: &str = "/api/";

/// Who waits for the answer with a browser, and what they were at: what programs would read as a problem document, they
/// see as a page.
pub(crate) struct Person {
    visit: Visit,
    /// Where they were sent to, if that is where a form sends them.
    sent_here: Form,
    /// What is shown again when it is refused.
    form: Form,
    filled: Filled,
    is_read: bool,
}

impl Person {
    /// The person behind a request, if it isn't a program's. Boxed, so that the many requests of programs that may wait
    /// don't hold the room for it.
    pub(crate) fn behind(request: Request, keyless: &Keyless) -> (Request, Option<Box<Self>>) {
        if !is_by_a_person(&request) {
            return (request, None);
        }
        let (mut parts, body) = request.into_parts();
        let sent_here = Form::of(parts.uri.path());
        let person = Self {
            visit: Visit::new(&parts, keyless.pages.clone()),
            sent_here,
            form: if parts.method.is_safe() { Form::Elsewhere } else { sent_here },
            filled: Filled::default(),
            is_read: is_read(&parts.method),
        };
        parts.extensions.insert(person.filled.clone());
        (Request::from_parts(parts, body), Some(Box::new(person)))
    }

    /// The answer as they see it.
    pub(crate) fn shown(self, response: Response) -> Response {
        let Self { visit, sent_here, form, filled, is_read } = self;
        match response.extensions().get::<Problem>().cloned() {
            // Where a form was sent to and refused, people reload, and keep bookmarks.
            Some(problem) if is_read && sent_here != Form::Elsewhere && is_no_page(&problem) => {
                see_other(StatusCode::SEE_OTHER.into_response(), sent_here.page())
            }
            Some(problem) => in_place_of(response, visit.refusal(form, &problem, &filled)),
            None => response,
        }
    }
}

fn is_read(method: &Method) -> bool {
    [Method::GET, Method::HEAD].contains(method)
}

fn is_no_page(problem: &Problem) -> bool {
    [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&problem.status())
}

/// A form, or a browser that went to an address.
fn is_by_a_person(request: &Request) -> bool {
    let goes_to_an_address = || is_read(request.method()) && accepts_pages(request.headers());
    // A proxy's question has the headers of the request that it asks about.
    !request.uri().path().starts_with(FOR_PROGRAMS)
        && (Style::of(request.headers()) == Some(Style::Form) || goes_to_an_address())
}

/// The page, with the headers of the answer that it stands for.
fn in_place_of(response: Response, mut page: Response) -> Response {
    let (parts, _) = response.into_parts();
    // The log names the problem, whatever it looks like.
    page.extensions_mut().extend(parts.extensions);
    for (name, value) in &parts.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            page.headers_mut().append(name, value.clone());
        }
    }
    page
}

/// What leads to a form again; anything else is an answer of its own.
fn is_mendable(problem: &Problem) -> bool {
    let by_trying_again = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let by_changing = [StatusCode::UNAUTHORIZED, StatusCode::CONFLICT, StatusCode::UNPROCESSABLE_ENTITY];
    by_trying_again.contains(&problem.status()) || by_changing.contains(&problem.status())
}

impl Visit {
    fn refusal(self, form: Form, problem: &Problem, filled: &Filled) -> Response {
        let status = problem.status();
        let fields = filled.fields();
        // Whatever was asked for, the way there begins with the password.
        if form != Form::Elsewhere && [Kind::SessionRequired, Kind::LoginExpired].contains(&problem.kind()) {
            let next = if problem.kind() == Kind::SessionRequired { Some(form.page()) } else { None };
            let trouble = Trouble::new(problem, Form::Login, self.words);
            return self.at("/login", next).login_form(status, Some(&trouble), fields);
        }
        let trouble = Trouble::new(problem, form, self.words);
        let marked = Some(&trouble);
        match (form, filled.session()) {
            _ if !is_mendable(problem) => self.problem(problem, form),
            (Form::Login, _) => self.at("/login", fields.next()).login_form(status, marked, fields),
            (Form::Register, _) => self.at("/register", fields.next()).register_form(status, marked, fields),
            (Form::Verify, _) => self.verify_form(status, marked, filled),
            (Form::Confirm, Some(session)) if problem.kind() == Kind::TotpNotStarted => {
                let trouble = Trouble::new(problem, Form::SetUp, self.words);
                self.security_forms(status, session, Some(&trouble))
            }
            (Form::Confirm, Some(session)) => self.confirm_form(status, session, marked),
            (Form::Password | Form::SetUp | Form::TurnOff | Form::RecoveryCodes, Some(session)) => {
                self.security_forms(status, session, marked)
            }
            (Form::Password | Form::SetUp | Form::TurnOff | Form::RecoveryCodes | Form::Confirm, None)
            | (Form::Sessions | Form::Elsewhere, _) => self.problem(problem, form),
        }
    }

    /// A page that says what went wrong, and no more.
    fn problem(&self, problem: &Problem, form: Form) -> Response {
        let (back, back_text) = match (form, problem.kind()) {
            (Form::Elsewhere, Kind::SessionRequired) => (login_with_next(self.here()), self.words.log_in),
            // The same page again, once the time is over.
            (Form::Elsewhere, Kind::RateLimited | Kind::Unavailable) => (self.here().to_owned(), self.words.try_again),
            (Form::Elsewhere, _) => ("/".to_owned(), self.words.to_start),
            (form, _) => (form.page().to_owned(), self.words.back),
        };
        let page = ProblemPage {
            frame: self.frame(None),
            words: self.words,
            status: problem.status().as_u16(),
            trouble: Trouble::new(problem, form, self.words),
            back,
            back_text,
        };
        self.show(problem.status(), &page)
    }
}
