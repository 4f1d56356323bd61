//! Waiting for what can be observed.

use std::{thread, time::Duration};

use anyhow::bail;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until there is an answer.
///
/// `limit` is the sum of the pauses between the looks, not of the time that they take.
///
/// # Errors
/// What was waited for, when `limit` has passed; or the error of a look.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let looks = limit.as_millis() / PAUSE.as_millis();
    for _ in 0..=looks {
        if let Some(answer) = look()? {
            return Ok(answer);
        }
        thread::park_timeout(PAUSE);
    }
    bail!("waited {limit:?} in vain until {what}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::until;

    #[test]
    fn gives_the_first_answer() {
        let mut looks = 0;
        let answer = until("the third look", Duration::from_secs(1), || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(answer.unwrap(), 3);
    }

    #[test]
    fn gives_up_and_says_what_was_waited_for() {
        let answer = until("never", Duration::ZERO, || Ok(None::<()>));
        assert!(answer.unwrap_err().to_string().contains("never"));
    }
}
