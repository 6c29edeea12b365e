//! The least that an HTTP answer costs: axum, a constant body, nothing else.

use std::env;

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let port = env::var("PORT").expect("PORT");
    let answer = get(|| async { ([(CONTENT_TYPE, "application/json")], r#"{"user":"ada"}"#) });
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("a free port");
    axum::serve(listener, Router::new().route("/answer", answer)).await.expect("a server");
}
