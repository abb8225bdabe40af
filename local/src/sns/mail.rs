//! A mail, and its file: RFC 5322 text that any mail program opens.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::message::Attribute;

/// Who every mail is from.
const FROM: &str = "Signalbox local cloud <no-reply@sns.amazonaws.com>";

/// The subject where the publisher gave none, as on AWS.
const NO_SUBJECT: &str = "AWS Notification Message";

/// What parts the body from the footer that SNS adds; the last one in a mail is ours.
const FOOTER: &str = "\n\n-- \n";

/// The longest line that is sent as it is; RFC 5322 allows 998.
const LONGEST_LINE: usize = 990;

/// A mail that was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its number, and its place in the inbox.
    pub id: u64,
    /// The address it was sent to.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text with plain line ends, without the footer that SNS adds.
    pub body: String,
    /// When it came.
    pub received: Timestamp,
    /// The attributes of the message that it was made from.
    pub attributes: BTreeMap<String, Attribute>,
    /// The id of the message that it was made from.
    pub message_id: String,
    /// The topic it was published to.
    pub topic: String,
    /// The subscription it was delivered for.
    pub subscription: String,
}

impl Mail {
    /// The subject of a message.
    pub(super) fn subject_of(subject: Option<&str>) -> String {
        subject.unwrap_or(NO_SUBJECT).to_owned()
    }

    /// The whole text of the file.
    pub(super) fn render(&self) -> String {
        let text = format!(
            "{}{FOOTER}Sent by the local cloud; it never left this machine. Unsubscribe:\naws sns unsubscribe --subscription-arn {}\n",
            self.body, self.subscription
        );
        let plain = text.lines().all(|line| line.len() <= LONGEST_LINE) && !text.contains(['\r', '\0']);
        let (encoding, text) =
            if plain { ("8bit", text.replace('\n', "\r\n")) } else { ("quoted-printable", quote(&text)) };
        let attributes = STANDARD.encode(serde_json::to_string(&self.attributes).unwrap_or_default());
        let date = self.received.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S +0000");
        let headers = [
            ("From", FROM.to_owned()),
            ("To", self.to.clone()),
            ("Date", date.to_string()),
            ("Subject", self.subject.clone()),
            ("Message-ID", format!("<{}.{}@localhost>", self.message_id, self.id)),
            ("MIME-Version", "1.0".to_owned()),
            ("Content-Type", "text/plain; charset=UTF-8".to_owned()),
            ("Content-Transfer-Encoding", encoding.to_owned()),
            ("X-Sns-Message-Id", self.message_id.clone()),
            ("X-Sns-Topic-Arn", self.topic.clone()),
            ("X-Sns-Subscription-Arn", self.subscription.clone()),
            ("X-Sns-Message-Attributes", fold(&attributes)),
            ("X-Received", self.received.to_string()),
        ];
        let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{head}\r\n{text}")
    }

    /// Reads a file that [`Mail::render`] wrote; `None` for any other.
    pub(super) fn parse(id: u64, file: &str) -> Option<Self> {
        let file = file.replace("\r\n", "\n");
        let (head, text) = file.split_once("\n\n")?;
        let head = head.replace("\n ", "");
        let header = |wanted: &str| {
            head.lines()
                .filter_map(|line| line.split_once(':'))
                .find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim_start().to_owned()))
        };
        let text = match header("Content-Transfer-Encoding")?.as_str() {
            "quoted-printable" => unquote(text)?,
            _ => text.to_owned(),
        };
        let (body, _footer) = text.rsplit_once(FOOTER)?;
        let attributes = STANDARD.decode(header("X-Sns-Message-Attributes")?).ok()?;
        Some(Self {
            id,
            to: header("To")?,
            subject: header("Subject")?,
            body: body.to_owned(),
            received: header("X-Received")?.parse().ok()?,
            attributes: serde_json::from_slice(&attributes).ok()?,
            message_id: header("X-Sns-Message-Id")?,
            topic: header("X-Sns-Topic-Arn")?,
            subscription: header("X-Sns-Subscription-Arn")?,
        })
    }
}

/// A long header value on several lines.
fn fold(value: &str) -> String {
    let mut folded = String::new();
    for (at, c) in value.chars().enumerate() {
        if at % 72 == 0 {
            folded.push_str("\r\n ");
        }
        folded.push(c);
    }
    folded
}

/// Quoted-printable text with CRLF line ends, no line over 76 characters.
fn quote(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\r\n"));
        let mut width = 0;
        let last = line.len().saturating_sub(1);
        for (at, byte) in line.bytes().enumerate() {
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (byte == b' ' && at != last);
            let token = if plain { char::from(byte).to_string() } else { format!("={byte:02X}") };
            if width + token.len() > 75 {
                out.push_str("=\r\n");
                width = 0;
            }
            width += token.len();
            out.push_str(&token);
        }
        out.push_str(end);
    }
    out
}

fn unquote(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'=' {
            bytes.push(*byte);
        } else if let Some(after) = rest.strip_prefix(b"\n") {
            rest = after;
        } else {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.extend(hex::decode(digits).ok()?);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(body: &str) -> Mail {
        let array = Attribute::Array("[\"a\",1]".to_owned());
        Mail {
            id: 7,
            to: "team@example.com".to_owned(),
            subject: "unit broke on main of demo".to_owned(),
            body: body.to_owned(),
            received: "2026-01-02T03:04:05.678Z".parse().unwrap(),
            attributes: BTreeMap::from([("teams".to_owned(), array)]),
            message_id: "m".to_owned(),
            topic: "arn:aws:sns:eu-west-1:111122223333:notices".to_owned(),
            subscription: "arn:aws:sns:eu-west-1:111122223333:notices:s".to_owned(),
        }
    }

    #[test]
    fn a_mail_is_read_as_it_was_written() {
        let long = "ü=".repeat(2000);
        let bodies = [
            "",
            "plain",
            "two\nlines\n\n",
            "\n\n-- \nnot the footer",
            "=20 = é\n ",
            &long,
            "cr\rhere \nnul\0",
            "tab\t\n",
        ];
        for body in bodies {
            let mail = mail(body);
            let file = mail.render();
            assert!(file.lines().all(|line| line.len() < 998), "{body:?}");
            assert!(!file.replace("\r\n", "").contains(['\r', '\n']), "{body:?}");
            assert_eq!(Mail::parse(7, &file), Some(mail), "{body:?}");
        }
        assert_eq!(Mail::parse(1, "Subject: a mail from elsewhere\n\nhello"), None);
    }

    #[test]
    fn a_mail_program_finds_its_headers() {
        let file = mail("Grüße").render();
        assert!(file.starts_with("From: Signalbox local cloud <no-reply@sns.amazonaws.com>\r\nTo: team@example.com\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\nSubject: unit broke on main of demo\r\n"), "{file}");
        assert!(file.contains("\r\nContent-Transfer-Encoding: 8bit\r\n"));
        assert!(file.contains("\r\n\r\nGrüße\r\n\r\n-- \r\n"));
        assert!(mail(&"x".repeat(999)).render().contains("Content-Transfer-Encoding: quoted-printable"));
    }
}
