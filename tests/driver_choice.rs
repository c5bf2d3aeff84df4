//! Which driver a runtime gets, and what it says about it.
#![cfg(target_os = "linux")]

#[test]
fn a_ring_that_cannot_poll_is_refused_with_the_reason() {
    let mask = annulet::Mask::NONE.with_code(annulet::Code::Ready);
    let builder = annulet::Builder::new()
        .ignore_environment()
        .uring_disable(mask);
    let error = builder
        .clone()
        .driver(annulet::Choice::Uring)
        .build()
        .expect_err("there is nothing to fall back on");
    let fallback = builder
        .driver(annulet::Choice::Auto)
        .build()
        .expect("the other driver");
    assert_eq!(fallback.driver().kind, annulet::DriverKind::Poll);
    // Without io_uring at all, its absence is the reason.
    if !error.to_string().contains("poll_add") {
        println!("SKIP a_ring_that_cannot_poll_is_refused_with_the_reason: {error}");
    }
}
