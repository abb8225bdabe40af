//! A mail, and its file: RFC 5322 text that any mail program opens.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::message::Attribute;
use super::mime::{fold, quote, read_phrase, unquote, write_phrase};

/// Who mail is from where the topic has no display name, as on AWS.
const FROM: &str = "AWS Notifications";

/// The address that every mail is from, as on AWS.
const ADDRESS: &str = "no-reply@sns.amazonaws.com";

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
    /// The topic's display name, if it has one.
    pub from: Option<String>,
    /// The address it was sent to.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text with plain line ends, without the footer that SNS adds.
    pub body: String,
    /// What SNS adds: how to unsubscribe.
    pub footer: String,
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

    /// Who it is from, for a person.
    pub(super) fn sender(&self) -> String {
        format!("{} <{ADDRESS}>", self.from.as_deref().unwrap_or(FROM))
    }

    /// The whole text of the file.
    pub(super) fn render(&self) -> String {
        let text = format!("{}{FOOTER}{}\n", self.body, self.footer);
        let plain = text.lines().all(|line| line.len() <= LONGEST_LINE) && !text.contains(['\r', '\0']);
        let (encoding, text) =
            if plain { ("8bit", text.replace('\n', "\r\n")) } else { ("quoted-printable", quote(&text)) };
        let attributes = STANDARD.encode(serde_json::to_string(&self.attributes).unwrap_or_default());
        let date = self.received.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S +0000");
        let headers = [
            ("From", format!("{} <{ADDRESS}>", write_phrase(self.from.as_deref().unwrap_or(FROM)))),
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
        let (body, footer) = text.rsplit_once(FOOTER)?;
        let from = read_phrase(header("From")?.rsplit_once(" <")?.0)?;
        let attributes = STANDARD.decode(header("X-Sns-Message-Attributes")?).ok()?;
        Some(Self {
            id,
            from: Some(from).filter(|from| from != FROM),
            to: header("To")?,
            subject: header("Subject")?,
            body: body.to_owned(),
            footer: footer.strip_suffix('\n').unwrap_or(footer).to_owned(),
            received: header("X-Received")?.parse().ok()?,
            attributes: serde_json::from_slice(&attributes).ok()?,
            message_id: header("X-Sns-Message-Id")?,
            topic: header("X-Sns-Topic-Arn")?,
            subscription: header("X-Sns-Subscription-Arn")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(body: &str) -> Mail {
        let array = Attribute::Array("[\"a\",1]".to_owned());
        Mail {
            id: 7,
            from: None,
            to: "team@example.com".to_owned(),
            subject: "unit broke on main of demo".to_owned(),
            body: body.to_owned(),
            footer: "To stop receiving this, visit\nhttp://127.0.0.1:4600/unsubscribe.html".to_owned(),
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
        assert!(file.starts_with("From: AWS Notifications <no-reply@sns.amazonaws.com>\r\nTo: team@example.com\r\nDate: Fri, 02 Jan 2026 03:04:05 +0000\r\nSubject: unit broke on main of demo\r\n"), "{file}");
        assert!(file.contains("\r\nContent-Transfer-Encoding: 8bit\r\n"));
        assert!(file.contains("\r\n\r\nGrüße\r\n\r\n-- \r\n"));
        assert!(mail(&"x".repeat(999)).render().contains("Content-Transfer-Encoding: quoted-printable"));
    }

    #[test]
    fn any_display_name_fits_into_the_head_and_comes_back() {
        for name in ["Signalbox", "Bau & Co. <x>", "a \"b\" \\", "Grüße aus München", &"ü".repeat(100), "="] {
            let mail = Mail { from: Some(name.to_owned()), ..mail("text") };
            let file = mail.render();
            let from = file.split("\r\nTo: ").next().unwrap();
            assert!(from.is_ascii() && from.lines().all(|line| line.len() <= 120), "{from}");
            assert_eq!(Mail::parse(7, &file), Some(mail), "{name}");
        }
        let file = Mail { from: Some("Grüße".to_owned()), ..mail("text") }.render();
        assert!(file.starts_with("From: =?UTF-8?B?R3LDvMOfZQ==?= <no-reply@sns.amazonaws.com>\r\n"), "{file}");
    }
}
