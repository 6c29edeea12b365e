//! What was done, for whoever runs this with `--nocapture`.

use std::{cell::Cell, sync::Mutex, time::Instant};

/// One property, while it is tried.
pub(crate) struct Trial {
    name: &'static str,
    cases: Cell<u64>,
    accepted: Cell<u64>,
    began: Instant,
}

impl Trial {
    #[expect(clippy::disallowed_methods, reason = "what a test took is told in real time")]
    pub(crate) fn begin(name: &'static str) -> Self {
        Self { name, cases: Cell::new(0), accepted: Cell::new(0), began: Instant::now() }
    }

    /// One more case.
    pub(crate) fn count(&self) {
        self.cases.set(self.cases.get() + 1);
    }

    /// One more input that got as far as the claim, and was not refused before it.
    pub(crate) fn accept(&self) {
        self.accepted.set(self.accepted.get() + 1);
    }

    /// One line about this property, with the sum of all lines so far: the last one has the total.
    ///
    /// A property that nothing got as far as holds for whatever refuses everything, so it is none.
    #[expect(clippy::print_stdout, reason = "the harness shows it to whoever asks for it")]
    pub(crate) fn end(self) {
        static TOTAL: Mutex<u64> = Mutex::new(0);
        let Self { name, cases, accepted, began } = self;
        let (cases, accepted) = (cases.get(), accepted.get());
        assert!(accepted > 0, "{name}: of {cases} cases none was accepted");
        let mut total = TOTAL.lock().unwrap();
        *total += cases;
        println!(
            "{name}: {cases} cases, {accepted} accepted, in {:.1} s; {total} so far",
            began.elapsed().as_secs_f64()
        );
    }
}
