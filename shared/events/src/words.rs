//! Closed sets of words that AWS uses for states and kinds.

/// A closed set of words in AWS's own spelling.
pub(crate) trait Word: Sized {
    /// The words, as AWS spells them.
    const KNOWN: &'static [&'static str];

    /// The value for a word, if it is one of them.
    fn from_word(text: &str) -> Option<Self>;
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value in AWS's own spelling.
            pub fn as_aws(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The value for AWS's own spelling, if it is one of these.
            pub fn from_aws(text: &str) -> Option<Self> {
                match text {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_aws())
            }
        }

        impl crate::words::Word for $name {
            const KNOWN: &'static [&'static str] = &[$($text),+];

            fn from_word(text: &str) -> Option<Self> {
                Self::from_aws(text)
            }
        }
    };
}

pub(crate) use words;
