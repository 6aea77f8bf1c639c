//! One question that is asked again while that may help, with the pauses that every retry has.

use crate::context::Shared;
use crate::error::Result;
use crate::events;
use crate::retry::{Tries, Try};

/// Asks until there is an answer, or an error that another try does not mend, or too many of them.
// Not an `AsyncFn`: whether its futures are Send cannot be said yet, and a download must be.
pub(super) async fn patiently<T, F>(shared: &Shared, ask: impl Fn(Try) -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut tries = Tries::new(shared.max_attempts);
    loop {
        let error = match ask(Try::after(tries.count())).await {
            Ok(answer) => return Ok(answer),
            Err(e) => e,
        };
        let Some(delay) = tries.failed(&error, 0, false) else {
            return Err(error.after_attempts(tries.count()));
        };
        events::retry(None, tries.count(), &error, delay);
        tokio::time::sleep(delay).await;
    }
}
