//! Producers and consumers with a bounded queue between them, and an end that loses nothing.
//!
//! Teaches: `sync::queue::Queue` (asyncio's `Queue`, with `maxsize`, `join` and `shutdown`), whose
//! `put` waits while the consumers are behind; `TaskGroup`, which returns when every task in it has
//! ended; and the order in which things end: the producers have no more, the queue is worked off,
//! the consumers are told. No sentinel goes through the queue, and nobody is cancelled.

use std::error::Error;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use annulet::sync::queue::{Queue, TooManyDone};
use annulet::time::sleep;
use annulet::{TaskGroup, join_all};

const PRODUCERS: u32 = 2;
const CONSUMERS: usize = 3;
/// Orders of each producer.
const ORDERS: u32 = 50;
/// How many orders may lie in the queue.
const ROOM: usize = 4;

/// Puts its orders, as fast as the queue takes them; gives the longest that the queue was.
async fn produce(queue: Rc<Queue<u32>>, first: u32) -> usize {
    let mut longest = 0;
    for order in first..first + ORDERS {
        // Waits while the queue is full: that is all there is to back-pressure.
        queue
            .put(order)
            .await
            .expect("shut down after the producers");
        longest = longest.max(queue.len());
    }
    longest
}

/// Works off orders until the queue is shut down and empty; gives those that it had.
async fn consume(queue: Rc<Queue<u32>>) -> Result<Vec<u32>, TooManyDone> {
    let mut orders = Vec::new();
    while let Ok(order) = queue.get().await {
        sleep(Duration::from_millis(2)).await;
        orders.push(order);
        queue.task_done()?;
    }
    Ok(orders)
}

#[annulet::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let queue = Rc::new(Queue::bounded(ROOM));

    let worked = TaskGroup::scope(async |group| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| group.spawn(consume(Rc::clone(&queue))))
            .collect();

        let producers = (0..PRODUCERS).map(|number| produce(Rc::clone(&queue), number * ORDERS));
        let longest = join_all(producers).await.into_iter().max();
        assert_eq!(longest, Some(ROOM), "full, and never more than that");

        // Everything has been put; now wait until all of it is done, and let the consumers go.
        queue.join().await;
        assert_eq!((queue.len(), queue.unfinished()), (0, 0));
        queue.shutdown();
        let worked = join_all(consumers).await;
        Ok(worked)
    });
    // The group has waited for its tasks: none is left behind, whichever way the block ended.
    let worked: Vec<Vec<u32>> = worked.await?.into_iter().collect::<Result<_, _>>()?;

    let shares: Vec<usize> = worked.iter().map(Vec::len).collect();
    let mut orders = worked.concat();
    orders.sort_unstable();
    assert!(
        orders.into_iter().eq(0..PRODUCERS * ORDERS),
        "each order once"
    );
    assert!(shares.iter().all(|&share| share > 0), "nobody was idle");
    writeln!(
        io::stdout(),
        "{} orders, at most {ROOM} in the queue, worked off by {CONSUMERS}: {shares:?}",
        PRODUCERS * ORDERS
    )?;
    Ok(())
}
