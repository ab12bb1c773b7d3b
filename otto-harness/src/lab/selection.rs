//! [`LabSelection`]: which labs are meant.

use super::model::Lab;

/// Which lab is meant: names, of labs that are to be found and merged, or a [`Lab`] that is there.
///
/// ```
/// use otto::lab::LabSelection;
/// assert_eq!(LabSelection::from("rack1+rack2").to_string(), "rack1+rack2");
/// assert_eq!(LabSelection::from(["rack1", "rack2"]).to_string(), "rack1+rack2");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LabSelection {
    /// Names, in order.
    Names(Vec<String>),
    /// A lab.
    Lab(Lab),
}

impl std::fmt::Display for LabSelection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Names(names) => f.write_str(&names.join("+")),
            Self::Lab(lab) => f.write_str(lab.name()),
        }
    }
}

/// The names that `a+b` joins, each once.
fn split<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> LabSelection {
    let mut names: Vec<String> = Vec::new();
    for text in texts {
        for name in text.as_ref().split('+').map(str::trim) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    LabSelection::Names(names)
}

impl From<&str> for LabSelection {
    fn from(text: &str) -> Self {
        split([text])
    }
}

impl From<String> for LabSelection {
    fn from(text: String) -> Self {
        split([text])
    }
}

impl From<&String> for LabSelection {
    fn from(text: &String) -> Self {
        split([text])
    }
}

impl<S: AsRef<str>, const N: usize> From<[S; N]> for LabSelection {
    fn from(texts: [S; N]) -> Self {
        split(texts)
    }
}

impl<S: AsRef<str>> From<&[S]> for LabSelection {
    fn from(texts: &[S]) -> Self {
        split(texts)
    }
}

impl<S: AsRef<str>> From<Vec<S>> for LabSelection {
    fn from(texts: Vec<S>) -> Self {
        split(texts)
    }
}

impl From<Lab> for LabSelection {
    fn from(lab: Lab) -> Self {
        Self::Lab(lab)
    }
}

impl From<&Lab> for LabSelection {
    fn from(lab: &Lab) -> Self {
        Self::Lab(lab.clone())
    }
}
