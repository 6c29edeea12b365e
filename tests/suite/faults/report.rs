//! What was done, for whoever runs this with `--nocapture`, and what failed.

use std::{
    io::{Write, stderr},
    sync::Mutex,
    thread,
};

/// One line about so many calls that went wrong, with the sum of all lines so far: the last one has the total.
#[expect(clippy::print_stdout, reason = "the harness shows it to whoever asks for it")]
pub(super) fn tell(what: &str, struck: usize) {
    static TOTAL: Mutex<usize> = Mutex::new(0);
    let mut total = TOTAL.lock().unwrap();
    *total += struck;
    println!("{what}, {struck} faults struck; {total} so far");
}

/// One line that is shown at once, whether or not anybody asks: a run that is cut off shows nothing that its harness keeps.
pub(super) fn announce(what: &str) {
    let mut uncaptured = stderr();
    writeln!(uncaptured, "{what}").unwrap();
}

/// Says what was tried, if anything fails meanwhile.
pub(super) struct Shown(String);

impl Shown {
    pub(super) fn if_anything_fails(what: String) -> Self {
        Self(what)
    }
}

impl Drop for Shown {
    #[expect(clippy::print_stdout, reason = "the harness shows it with the test that fails")]
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.0);
        }
    }
}
