//! An echo server with tokio-tungstenite. As its own example does, it forwards what
//! comes, which flushes when nothing more is there.

use futures_util::{future, StreamExt, TryStreamExt};
use libws_bench::{serve, Peer, Stream};

struct Tungstenite;

impl Peer for Tungstenite {
    async fn handle(stream: impl Stream) {
        let Ok(socket) = tokio_tungstenite::accept_async(stream).await else {
            return;
        };
        let (write, read) = socket.split();
        let messages =
            read.try_filter(|message| future::ready(message.is_text() || message.is_binary()));
        let _ = messages.forward(write).await; // Clients leave without closing.
    }
}

fn main() {
    serve::<Tungstenite>();
}
