//! What a test may return, and how its error is shown.

/// A type that a test may return.
#[diagnostic::on_unimplemented(
    message = "an `#[otto::test]` cannot return `{Self}`",
    label = "neither `()` nor `Result<(), E>`",
    note = "a test returns `()` or `Result<(), E>`, where `E` is `Display` or `Debug`"
)]
pub trait TestResult {
    /// Does nothing; that it can be called is all that is asked. An associated type for the error would have the
    /// compiler complain about a wrong type once more for each mention of it.
    fn check(&self) {}
}

impl TestResult for () {}

impl<E> TestResult for Result<(), E> {}

/// A test's result as its [`Outcome`](crate::harness::registry::Outcome), the error in the best form that its type has.
///
/// `(&&&&&&&&Returned(&result)).outcome()` finds the first of these that holds, because a method is looked for on fewer and
/// fewer references: otto's own error, or a box that may hold it; an error or a box of one, with its causes; a report (`anyhow`, `eyre`), by its own `Debug`, which
/// has the causes and the backtrace; `Display`; `Debug`; and at last what is no `Result`.
pub mod returned {
    use std::error::Error;
    use std::fmt::{Debug, Display};
    use std::ops::Deref;

    use crate::error::chain;
    use crate::harness::registry::{Fault, Outcome, is_infrastructure};

    /// What a test returned.
    #[derive(Debug)]
    pub struct Returned<'r, T>(pub &'r T);

    /// For otto's own error, and for boxes that may hold it.
    pub trait OfKnown {
        /// With the text of the error and of its causes.
        fn outcome(&self) -> Outcome;
    }

    impl OfKnown for &&&&&&&Returned<'_, Result<(), crate::Error>> {
        fn outcome(&self) -> Outcome {
            self.0.as_ref().map_err(|error| Fault::of(error)).copied()
        }
    }

    impl OfKnown for &&&&&&&Returned<'_, Result<(), Box<dyn Error>>> {
        fn outcome(&self) -> Outcome {
            self.0.as_ref().map_err(|error| Fault::of(&**error)).copied()
        }
    }

    impl OfKnown for &&&&&&&Returned<'_, Result<(), Box<dyn Error + Send + Sync>>> {
        fn outcome(&self) -> Outcome {
            self.0.as_ref().map_err(|error| Fault::of(&**error)).copied()
        }
    }

    /// For errors.
    pub trait OfError {
        /// With the text of the error and of its causes.
        fn outcome(&self) -> Outcome;
    }

    impl<E: Error> OfError for &&&&&&Returned<'_, Result<(), E>> {
        fn outcome(&self) -> Outcome {
            let fault = |error: &E| Fault { text: chain(error), infrastructure: is_infrastructure(error.source()) };
            self.0.as_ref().map_err(fault).copied()
        }
    }

    /// For `Box<dyn Error>`, which is no `Error` itself.
    pub trait OfBox {
        /// With the text of the error and of its causes.
        fn outcome(&self) -> Outcome;
    }

    impl<E: Error + ?Sized> OfBox for &&&&&Returned<'_, Result<(), Box<E>>> {
        fn outcome(&self) -> Outcome {
            let fault = |error: &E| Fault { text: chain(error), infrastructure: is_infrastructure(error.source()) };
            self.0.as_ref().map_err(|error| fault(error)).copied()
        }
    }

    /// For reports that hold any error: those of `anyhow` and `eyre`.
    pub trait OfAnyReport {
        /// With the error as the report wants to be read.
        fn outcome(&self) -> Outcome;
    }

    impl<E: Deref<Target = dyn Error + Send + Sync> + Debug> OfAnyReport for &&&&Returned<'_, Result<(), E>> {
        fn outcome(&self) -> Outcome {
            let fault = |report: &E| {
                let error: &(dyn Error + Send + Sync) = &**report;
                Fault { text: format!("{report:?}"), infrastructure: is_infrastructure(Some(error)) }
            };
            self.0.as_ref().map_err(fault).copied()
        }
    }

    /// For reports, which hold an `Error` but are none.
    pub trait OfReport {
        /// With the error as the report wants to be read.
        fn outcome(&self) -> Outcome;
    }

    impl<E: Deref<Target: Error> + Debug> OfReport for &&&Returned<'_, Result<(), E>> {
        fn outcome(&self) -> Outcome {
            self.0.as_ref().map_err(|report| format!("{report:?}").into()).copied()
        }
    }

    /// For what has a text for people.
    pub trait OfDisplay {
        /// With that text.
        fn outcome(&self) -> Outcome;
    }

    impl<E: Display> OfDisplay for &&Returned<'_, Result<(), E>> {
        fn outcome(&self) -> Outcome {
            self.0.as_ref().map_err(|error| error.to_string().into()).copied()
        }
    }

    /// For all other errors. The bound is on the method, not on the implementation, so that the compiler's answer to an
    /// error without any text is that `Debug` is missing.
    pub trait OfDebug {
        /// The error's type.
        type Error;

        /// With the debug text.
        fn outcome(&self) -> Outcome
        where
            Self::Error: Debug;
    }

    impl<E> OfDebug for &Returned<'_, Result<(), E>> {
        type Error = E;

        fn outcome(&self) -> Outcome
        where
            E: Debug,
        {
            self.0.as_ref().map_err(|error| format!("{error:?}").into()).copied()
        }
    }

    /// For `()`; other types do not come past [`TestResult`](super::TestResult).
    pub trait OfNothing {
        /// Success.
        fn outcome(&self) -> Outcome;
    }

    impl<T> OfNothing for Returned<'_, T> {
        fn outcome(&self) -> Outcome {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;
    use std::fmt;
    use std::ops::Deref;

    use super::returned::*;
    use crate::error::{Error, ErrorKind};

    macro_rules! text {
        ($error:expr) => {
            (&&&&&&&&Returned(&Err::<(), _>($error))).outcome().unwrap_err().text
        };
    }

    fn with_cause() -> Error {
        Error::new(ErrorKind::Invalid, "cannot boot").caused_by("no image".to_owned())
    }

    /// As anyhow's: shown by `Debug`, an error only behind `Deref`.
    struct Report(Box<dyn StdError + Send + Sync>);

    impl Deref for Report {
        type Target = dyn StdError + Send + Sync;

        fn deref(&self) -> &Self::Target {
            &*self.0
        }
    }

    impl fmt::Debug for Report {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "report of {} with a backtrace", self.0)
        }
    }

    impl fmt::Display for Report {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)
        }
    }

    #[derive(Debug)]
    struct OnlyDebug;

    struct OnlyDisplay;

    impl fmt::Display for OnlyDisplay {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("only display")
        }
    }

    fn unreachable() -> Error {
        Error::new(ErrorKind::Connect(crate::Phase::Tcp), "refused")
    }

    #[test]
    fn a_host_that_is_not_to_be_had_is_told_apart() {
        macro_rules! infrastructure {
            ($error:expr) => {
                (&&&&&&&&Returned(&Err::<(), _>($error))).outcome().unwrap_err().infrastructure
            };
        }
        #[derive(Debug)]
        struct Own(Error);
        impl fmt::Display for Own {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("own")
            }
        }
        impl StdError for Own {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }
        assert!(infrastructure!(unreachable()) && infrastructure!(Own(unreachable())));
        assert!(infrastructure!(Box::<dyn StdError>::from(unreachable())));
        assert!(infrastructure!(Box::<dyn StdError + Send + Sync>::from(unreachable())));
        assert!(infrastructure!(Box::new(Own(unreachable()))) && infrastructure!(Report(Box::new(unreachable()))));
        assert!(!infrastructure!(with_cause()) && !infrastructure!(Own(with_cause())));
        assert!(!infrastructure!(Report("bad".into())) && !infrastructure!("text"));
    }

    #[test]
    fn each_error_is_shown_in_its_best_form() {
        assert_eq!(text!(with_cause()), "cannot boot\n  caused by: no image");
        assert_eq!(text!(Box::<dyn StdError>::from(with_cause())), "cannot boot\n  caused by: no image");
        assert_eq!(text!(Box::<dyn StdError + Send + Sync>::from("plain")), "plain");
        assert_eq!(text!(Box::new(with_cause())), "cannot boot\n  caused by: no image");
        assert_eq!(text!(Report("bad".into())), "report of bad with a backtrace");
        assert_eq!(text!("text".to_owned()), "text");
        assert_eq!(text!("text"), "text");
        assert_eq!(text!(OnlyDisplay), "only display");
        assert_eq!(text!(OnlyDebug), "OnlyDebug");
        assert_eq!(text!(()), "()");
        assert_eq!(Returned(&()).outcome(), Ok(()));
        assert_eq!((&&&Returned(&Ok::<_, OnlyDisplay>(()))).outcome(), Ok(()));
    }
}
