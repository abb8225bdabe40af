//! What a single value can be asked for, and whether it is that.

use std::net::IpAddr;

use serde_json::{Number, Value};

/// Numbers beyond this are only ever compared as text, as on AWS.
pub(super) const LARGEST_NUMBER: f64 = 5.0e9;

/// One thing that a value can be asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Matcher {
    /// A string, a boolean or null.
    Equals(Value),
    Number(Number),
    EqualsIgnoreCase(String),
    Prefix(Text),
    Suffix(Text),
    /// None of these.
    AnythingBut(Vec<Matcher>),
    Range(Range),
    /// There is a value, whatever it is.
    Exists,
    /// There is none.
    Absent,
    Wildcard(Wildcard),
    Cidr(Cidr),
}

/// A text to compare with, folded to lower case where case does not count.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    Exact(String),
    Folded(String),
}

/// A numeric range; an end that is `None` is open to infinity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Range {
    pub(super) bottom: Option<Bound>,
    pub(super) top: Option<Bound>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bound {
    With(f64),
    Without(f64),
}

/// A text with `*` in it, cut at each of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wildcard(Vec<String>);

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cidr {
    address: IpAddr,
    bits: u32,
}

pub(super) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

impl Matcher {
    /// Whether a value that is there is what is wanted; `value` is never an array or an object.
    pub(super) fn accepts(&self, value: &Value) -> bool {
        let text = || value.as_str();
        match self {
            Self::Equals(wanted) => value == wanted,
            Self::Number(wanted) => matches!(value, Value::Number(number) if same_number(wanted, number)),
            Self::EqualsIgnoreCase(wanted) => text().is_some_and(|text| fold(text) == *wanted),
            Self::Prefix(Text::Exact(wanted)) => text().is_some_and(|text| text.starts_with(wanted)),
            Self::Prefix(Text::Folded(wanted)) => text().is_some_and(|text| fold(text).starts_with(wanted)),
            Self::Suffix(Text::Exact(wanted)) => text().is_some_and(|text| text.ends_with(wanted)),
            Self::Suffix(Text::Folded(wanted)) => text().is_some_and(|text| fold(text).ends_with(wanted)),
            Self::AnythingBut(butted) => !butted.iter().any(|matcher| matcher.accepts(value)),
            Self::Range(range) => matches!(value, Value::Number(_)) && value.as_f64().is_some_and(|n| range.holds(n)),
            Self::Exists => true,
            Self::Absent => false,
            Self::Wildcard(wildcard) => text().is_some_and(|text| wildcard.accepts(text)),
            Self::Cidr(cidr) => text().and_then(|text| text.parse().ok()).is_some_and(|address| cidr.holds(address)),
        }
    }
}

/// Numbers are the same if they are written the same, or if AWS can compare them and they are worth the same.
fn same_number(one: &Number, other: &Number) -> bool {
    if one == other {
        return true;
    }
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.abs() <= LARGEST_NUMBER && one == other,
        _ => false,
    }
}

impl Range {
    fn holds(self, number: f64) -> bool {
        let above = match self.bottom {
            None => true,
            Some(Bound::With(at)) => number >= at,
            Some(Bound::Without(at)) => number > at,
        };
        let below = match self.top {
            None => true,
            Some(Bound::With(at)) => number <= at,
            Some(Bound::Without(at)) => number < at,
        };
        above && below && number.abs() <= LARGEST_NUMBER
    }
}

impl Wildcard {
    /// Reads a text with `*` in it; the error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut after_star = false;
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            match character {
                '*' if after_star => {
                    return Err(format!("wildcard {text:?} has two * in a row; one is enough"));
                }
                '*' => parts.push(std::mem::take(&mut part)),
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '\\')) => part.push(escaped),
                    _ => return Err(format!("in wildcard {text:?} a \\ may only stand before * or \\")),
                },
                other => part.push(other),
            }
            after_star = character == '*';
        }
        parts.push(part);
        Ok(Self(parts))
    }

    fn accepts(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            return self.0.first().is_some_and(|whole| whole == text);
        };
        let Some(rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some(mut rest) = rest.strip_suffix(last.as_str()) else { return false };
        for part in middle {
            let Some((_, behind)) = rest.split_once(part.as_str()) else { return false };
            rest = behind;
        }
        true
    }
}

impl Cidr {
    /// Reads a block; the error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let malformed = || format!("cidr must be a block such as 10.0.0.0/24 or 2001:db8::/32, not {text:?}");
        let (address, bits) = text.split_once('/').ok_or_else(malformed)?;
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let bits: u32 = bits.parse().map_err(|_| malformed())?;
        if bits > if address.is_ipv4() { 32 } else { 128 } {
            return Err(malformed());
        }
        Ok(Self { address, bits })
    }

    /// Whether the block has the address.
    pub(crate) fn holds(self, address: IpAddr) -> bool {
        // A shift by the whole width is no shift at all to the processor, hence the checked one.
        match (self.address, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                block.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                block.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}
