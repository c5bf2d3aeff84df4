//! Tasks that never stop asking for their turn.

use annulet::Context;
use annulet::op::{Nop, Op};

pub(crate) async fn yields() {
    loop {
        annulet::yield_now().await;
    }
}

pub(crate) async fn operates() {
    let context = Context::current();
    loop {
        Op::new(context.driver(), Nop)
            .await
            .expect("it does nothing");
    }
}
