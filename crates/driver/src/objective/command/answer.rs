//! What a line of a program's output means.

use serde_json::Value;

/// An answer to a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A finite number.
    Value(f64),
    /// None, and why.
    Trouble(Trouble, String),
}

/// Kinds of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Out of memory.
    Oom,
    /// May work the next time.
    Transient,
    /// These parameters have no value.
    Invalid,
    /// Anything else.
    Other,
}

/// The answer in `line`, if it is a JSON object with this id; JSON with the bare words NaN and Infinity
/// counts (many languages write it so).
pub fn find_answer(line: &str, id: u64) -> Option<Answer> {
    let line = line.trim();
    if !line.starts_with('{') {
        return None;
    }
    let value: Value = serde_json::from_str(line)
        .or_else(|_| serde_json::from_str(&quote_bare_words(line)))
        .ok()?;
    let object = value.as_object()?;
    if object.get("id")?.as_u64()? != id {
        return None;
    }
    if let Some(error) = object.get("error").filter(|error| !error.is_null()) {
        let trouble = match object.get("kind").and_then(Value::as_str) {
            Some("oom") => Trouble::Oom,
            Some("transient") => Trouble::Transient,
            Some("invalid") => Trouble::Invalid,
            _ => Trouble::Other,
        };
        let reason = error
            .as_str()
            .map_or_else(|| error.to_string(), str::to_owned);
        return Some(Answer::Trouble(trouble, reason));
    }
    Some(match object.get("value") {
        Some(value) => match value.as_f64().filter(|value| value.is_finite()) {
            Some(number) => Answer::Value(number),
            None => Answer::Trouble(
                Trouble::Invalid,
                format!("the value is {value}, not a finite number"),
            ),
        },
        None => Answer::Trouble(
            Trouble::Other,
            "the answer has neither value nor error".to_owned(),
        ),
    })
}

/// Puts NaN, Infinity and -Infinity outside strings into quotes.
fn quote_bare_words(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 4);
    let mut rest = line;
    let mut inside = false;
    'next: while let Some(first) = rest.chars().next() {
        if !inside {
            for word in ["NaN", "-Infinity", "Infinity", "nan", "-inf", "inf"] {
                if let Some(after) = rest.strip_prefix(word) {
                    out.push('"');
                    out.push_str(word);
                    out.push('"');
                    rest = after;
                    continue 'next;
                }
            }
        }
        let mut taken = first.len_utf8();
        match first {
            '"' => inside = !inside,
            '\\' if inside => taken += rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        out.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_mean_what_the_protocol_says() {
        let value = |number| Some(Answer::Value(number));
        assert_eq!(
            find_answer(r#" {"id":3,"value":0.5,"more":[1]} "#, 3),
            value(0.5)
        );
        assert_eq!(find_answer(r#"{"id":3,"value":7}"#, 3), value(7.0));
        assert_eq!(find_answer(r#"{"id":4,"value":7}"#, 3), None);
        assert_eq!(find_answer("epoch 3", 3), None);
        assert_eq!(find_answer("3", 3), None);
        assert_eq!(find_answer("[3]", 3), None);
        let trouble = |line| match find_answer(line, 3) {
            Some(Answer::Trouble(trouble, _)) => Some(trouble),
            _ => None,
        };
        assert_eq!(
            trouble(r#"{"id":3,"error":"no room","kind":"oom"}"#),
            Some(Trouble::Oom)
        );
        assert_eq!(trouble(r#"{"id":3,"error":"x"}"#), Some(Trouble::Other));
        assert_eq!(trouble(r#"{"id":3,"value":NaN}"#), Some(Trouble::Invalid));
        assert_eq!(
            trouble(r#"{"note":"NaN \" é","id":3,"value":-Infinity}"#),
            Some(Trouble::Invalid)
        );
        assert_eq!(trouble(r#"{"id":3,"value":"0.5"}"#), Some(Trouble::Invalid));
        assert_eq!(trouble(r#"{"id":3,"value":null}"#), Some(Trouble::Invalid));
        assert_eq!(trouble(r#"{"id":3}"#), Some(Trouble::Other));
    }
}
