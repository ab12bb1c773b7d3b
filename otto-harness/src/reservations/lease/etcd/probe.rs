//! The least that a lease costs in etcd, for the benchmark to compare with.

use tokio::runtime::Handle;

use super::client::Client;
use super::wire::{TxnRequest, TxnResponse, delete, made_by, put};
use super::{Result, TXN};
use crate::lab::EtcdOptions;

/// A bare client: no lease, no queue, no thread of its own.
#[expect(missing_debug_implementations, reason = "only the benchmark has one")]
pub struct EtcdProbe(Client, Vec<u8>);

impl EtcdProbe {
    /// Has to be called on a runtime.
    ///
    /// # Errors
    /// As [`Leases::etcd`](crate::reservations::Leases::etcd).
    pub fn new(options: &EtcdOptions, runtime: &Handle) -> Result<Self> {
        let _entered = runtime.enter();
        Ok(Self(Client::new(options)?, format!("{}probe", options.prefix).into_bytes()))
    }

    /// Two round trips: a key is put, and removed, each in a transaction.
    ///
    /// # Errors
    /// If etcd cannot be used.
    pub async fn put_and_delete(&self) -> Result<()> {
        let Self(client, key) = self;
        for success in [put(key, b"probe".repeat(60), 0, false), delete(key)] {
            let transaction =
                TxnRequest { compare: vec![made_by(b"/nothing", 0)], success: vec![success], failure: Vec::new() };
            client.call::<_, TxnResponse>(TXN, transaction).await?;
        }
        Ok(())
    }
}
