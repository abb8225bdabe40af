//! Finds what somebody probably meant.

/// Longer words are not compared.
const LONGEST: usize = 64;

/// The candidate nearest to a misspelt word, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    if word.len() > LONGEST {
        return None;
    }
    let allowed = match word.len() {
        0..=2 => 1,
        3..=5 => 2,
        length => length / 3,
    };
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = plain(candidate);
            // "a" is not nearly "on": at least half of the known word must be there.
            let distance = distance(&word, &known);
            (distance <= allowed && distance * 2 <= known.len()).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Case and the choice of dash do not count.
fn plain(word: &str) -> Vec<char> {
    word.chars().take(LONGEST + 1).flat_map(char::to_lowercase).map(|c| if c == '-' { '_' } else { c }).collect()
}

/// Edits between two words: insert, delete, replace, swap neighbours.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        let mut left = i + 1;
        let mut previous_b = None;
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, j) + usize::from(x != y)).min(at(&last, j + 1) + 1).min(left + 1);
            if j > 0 && previous_a == Some(y) && previous_b == Some(x) {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
            left = cost;
            previous_b = Some(y);
        }
        previous_a = Some(x);
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_what_was_meant() {
        let known = ["branches", "tags", "paths", "on", "pull_request", "supersede", "skip_ci"];
        for (word, expected) in [
            ("brances", Some("branches")),
            ("branch", Some("branches")),
            ("pull-request", Some("pull_request")),
            ("PATHS", Some("paths")),
            ("apths", Some("paths")),
            ("no", Some("on")),
            ("superseed", Some("supersede")),
            ("xyzzy", None),
            ("", None),
            ("a", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
