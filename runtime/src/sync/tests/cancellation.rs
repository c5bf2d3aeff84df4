//! Cancellation tokens, by cases and against a model by lot.

use std::cell::Cell;
use std::future::{pending, ready};
use std::sync::Arc;

use super::{Hand, Lots, ROUNDS, block_on, for_both_kinds, now, panicking_waker, running_waker};
use crate::sync::generic::CancellationToken;
use crate::sync::kind::Kind;
use crate::sync::shared;

for_both_kinds! {
    #[test]
    fn who_waits_is_woken_once_and_for_good<K>() {
        let token = CancellationToken::<K>::new();
        let clone = token.clone();
        let mut waiters = [Hand::waiting(token.cancelled()), Hand::waiting(clone.cancelled())];
        token.cancel();
        clone.cancel();
        for waiter in &mut waiters {
            assert_eq!(waiter.wakes(), 1);
            waiter.ready();
        }
        assert!(token.is_cancelled() && clone.is_cancelled());
        now(token.cancelled());
    }

    #[test]
    fn cancelling_goes_down_the_tree_and_not_up<K>() {
        let root = CancellationToken::<K>::default();
        let (child, sibling) = (root.child_token(), root.child_token());
        let grandchild = child.child_token();
        let mut waiter = Hand::waiting(grandchild.cancelled());
        child.cancel();
        waiter.ready();
        assert!(child.is_cancelled() && grandchild.is_cancelled());
        assert!(!root.is_cancelled() && !sibling.is_cancelled());
        root.cancel();
        assert!(sibling.is_cancelled());
        assert!(root.child_token().is_cancelled(), "born cancelled");
    }

    #[test]
    fn a_grandchild_is_reached_though_its_parent_is_dropped<K>() {
        let root = CancellationToken::<K>::new();
        let grandchild = root.child_token().child_token();
        let waiter = Hand::waiting(grandchild.cancelled());
        root.cancel();
        assert!(waiter.is_woken() && grandchild.is_cancelled());
    }

    #[test]
    fn a_child_outlives_its_parent_uncancelled<K>() {
        let root = CancellationToken::<K>::new();
        let child = root.child_token();
        drop(root);
        let _waits = Hand::waiting(child.cancelled());
        assert!(!child.is_cancelled());
    }

    #[test]
    fn dropped_children_leave_nothing_behind<K>() {
        let root = CancellationToken::<K>::new();
        for _ in 0..100 {
            let child = root.child_token();
            assert_eq!(root.children(), (1, 1));
            let grandchild = child.child_token();
            drop(child);
            assert_eq!(root.children(), (1, 1), "it is kept for the one below it");
            drop(grandchild);
            assert_eq!(root.children(), (0, 1));
        }
        let many = [0; 10].map(|_| root.child_token());
        assert_eq!(root.children(), (10, 10));
        drop(many);
        assert_eq!(root.children(), (0, 10));
        let crowd: Vec<_> = (0..2000).map(|_| root.child_token()).collect();
        assert_eq!(root.children(), (2000, 2000));
        drop(crowd);
        assert_eq!(root.children(), (0, 0), "the places of a crowd go with it");
    }

    #[test]
    fn a_node_is_freed_with_its_last_token<K>() {
        let root = CancellationToken::<K>::new();
        let child = root.child_token();
        let (of_root, of_child) = (root.weak_node(), child.weak_node());
        drop(root);
        assert!(K::upgrade(&of_root).is_some(), "kept by the child");
        drop(child);
        assert!(K::upgrade(&of_root).is_none() && K::upgrade(&of_child).is_none());
    }

    #[test]
    fn a_deep_tree_is_cancelled_and_dropped_without_recursion<K>() {
        let depth = if cfg!(miri) { 100 } else { 200_000 };
        for cancels in [true, false] {
            let root = CancellationToken::<K>::new();
            let mut leaf = root.clone();
            for _ in 0..depth {
                leaf = leaf.child_token();
            }
            let mut waiter = Hand::waiting(leaf.clone().cancelled_owned());
            if cancels {
                root.cancel();
                waiter.ready();
            }
            assert_eq!(leaf.is_cancelled(), cancels);
            drop((root, waiter));
            drop(leaf);
        }
    }

    #[test]
    fn a_dropped_waiter_leaves_no_place<K>() {
        let token = CancellationToken::<K>::new();
        drop(Hand::waiting(token.cancelled()));
        let granted = Hand::waiting(token.cancelled());
        token.cancel();
        drop(granted);
        now(token.cancelled_owned());
    }

    #[test]
    fn a_future_runs_until_its_token_is_cancelled<K>() {
        let token = CancellationToken::<K>::new();
        assert_eq!(now(token.run_until_cancelled(ready(1))), Some(1));
        let mut run = Hand::waiting(token.run_until_cancelled(pending::<()>()));
        token.cancel();
        assert!(run.is_woken());
        assert_eq!(run.ready(), None);
        let polled = Cell::new(false);
        assert_eq!(now(token.run_until_cancelled(async { polled.set(true) })), None);
        assert!(!polled.get(), "a cancelled token lets nothing begin");
    }

    #[test]
    fn a_guard_cancels_when_it_is_dropped_unless_disarmed<K>() {
        let token = CancellationToken::<K>::new();
        drop(token.child_token().drop_guard().disarm());
        drop(token.clone().drop_guard().disarm());
        assert!(!token.is_cancelled());
        let child = token.child_token();
        drop(child.clone().drop_guard());
        assert!(child.is_cancelled() && !token.is_cancelled());
        assert_eq!(format!("{token:?}"), "CancellationToken { cancelled: false }");
    }

    #[test]
    fn a_waker_that_panics_keeps_nobody_waiting<K>() {
        let token = CancellationToken::<K>::new();
        let child = token.child_token();
        let mut first = Hand::new(token.cancelled());
        assert!(first.poll_with(&panicking_waker()).is_pending());
        let second = Hand::waiting(child.cancelled());
        token.cancel();
        assert!(second.is_woken());
        first.ready();
    }

    #[test]
    fn a_waker_sees_the_whole_tree_cancelled_and_may_use_it<K>() {
        let token = CancellationToken::<K>::new();
        let below = token.child_token().child_token();
        let mut waiter = Hand::new(token.cancelled());
        let (of_token, of_below) = (token.weak_node(), below.clone());
        let waker = running_waker(move || {
            if K::upgrade(&of_token).is_some() {
                assert!(of_below.is_cancelled() && of_below.child_token().is_cancelled());
                of_below.cancel();
            }
        });
        assert!(waiter.poll_with(&waker).is_pending());
        token.cancel();
        waiter.ready();
    }

    #[test]
    fn a_tree_agrees_with_a_model_by_lot<K>() {
        let mut lots = Lots::new();
        for _ in 0..ROUNDS {
            run_by_lot::<K>(&mut lots);
        }
    }
}

/// A tree in which each knows its parent, and is cancelled if it or one above it is.
fn run_by_lot<K: Kind>(lots: &mut Lots) {
    struct Model<K: Kind> {
        /// None once it is dropped.
        token: Option<CancellationToken<K>>,
        parent: Option<usize>,
        cancelled: bool,
    }
    let token = Some(CancellationToken::<K>::new());
    let mut nodes = vec![Model {
        token,
        parent: None,
        cancelled: false,
    }];
    for _ in 0..60 {
        let at = lots.below(nodes.len());
        let Some(token) = &nodes[at].token else {
            continue;
        };
        match lots.below(8) {
            0..=4 => {
                let (token, cancelled) = (Some(token.child_token()), nodes[at].cancelled);
                nodes.push(Model {
                    token,
                    parent: Some(at),
                    cancelled,
                });
            }
            5 => {
                token.cancel();
                nodes[at].cancelled = true;
                // Parents stand before their children.
                for below in at + 1..nodes.len() {
                    let parent = nodes[below].parent;
                    nodes[below].cancelled |= parent.is_some_and(|parent| nodes[parent].cancelled);
                }
            }
            _ => nodes[at].token = None,
        }
        for node in &nodes {
            if let Some(token) = &node.token {
                assert_eq!(token.is_cancelled(), node.cancelled);
            }
        }
    }
    let weak: Vec<_> = nodes
        .iter()
        .filter_map(|node| Some(node.token.as_ref()?.weak_node()))
        .collect();
    while !nodes.is_empty() {
        drop(nodes.swap_remove(lots.below(nodes.len())));
    }
    assert!(
        weak.iter().all(|node| K::upgrade(node).is_none()),
        "all nodes are freed"
    );
}

#[test]
fn a_thread_cancels_what_tasks_and_threads_wait_for() {
    for _ in 0..if cfg!(miri) { 2 } else { 100 } {
        let root = shared::CancellationToken::new();
        let begun = Arc::new(shared::Semaphore::new(0));
        let wait = |token: shared::CancellationToken| {
            let begun = Arc::clone(&begun);
            async move {
                begun.add_permits(1);
                token.child_token().cancelled().await;
                token.is_cancelled()
            }
        };
        std::thread::scope(|scope| {
            let work = wait(root.child_token());
            let waiter = scope.spawn(move || block_on(work));
            let (token, started) = (root.clone(), Arc::clone(&begun));
            scope.spawn(move || {
                block_on(started.acquire_many(2)).unwrap().forget();
                token.cancel();
            });
            assert!(
                crate::Builder::new()
                    .build()
                    .unwrap()
                    .block_on(wait(root.clone()))
            );
            assert!(waiter.join().unwrap());
        });
    }
}

#[test]
fn children_come_and_go_on_threads_while_the_tree_is_cancelled() {
    for _ in 0..if cfg!(miri) { 2 } else { 200 } {
        let root = shared::CancellationToken::new();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let root = &root;
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    loop {
                        let child = root.child_token();
                        kept.push(child.child_token());
                        if child.is_cancelled() {
                            break;
                        }
                        if kept.len() > 3 {
                            kept.clear();
                        }
                    }
                    // Tokens are cancelled one after the other; none is forgotten.
                    kept.iter().for_each(|child| block_on(child.cancelled()));
                });
            }
            root.cancel();
        });
    }
}
