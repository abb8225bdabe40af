//! One queue, moment by moment.

use super::*;

const SECOND: i64 = 1000;

fn queue(attributes: &[(&str, &str)]) -> Queue {
    let mut set = Attributes::default();
    set.set(&attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()).unwrap();
    Queue::new("mark".to_owned(), set, 0)
}

fn push(queue: &mut Queue, body: &str, delay: i64, now: i64) {
    queue.push(Stored::new(format!("id-{body}"), body.to_owned(), "sender".to_owned(), now), delay, now);
}

fn receive(queue: &mut Queue, now: i64) -> Vec<Message> {
    queue.settle(now);
    queue.receive(10, 30 * SECOND, now)
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

#[test]
fn a_received_message_is_hidden_until_its_visibility_runs_out() {
    let mut queue = queue(&[]);
    push(&mut queue, "a", 0, 0);
    assert_eq!(bodies(&receive(&mut queue, 0)), ["a"]);
    assert!(receive(&mut queue, 29_999).is_empty());
    let again = receive(&mut queue, 30_000);
    assert_eq!(again[0].system_attributes["ApproximateReceiveCount"], "2");
    assert_eq!(again[0].system_attributes["ApproximateFirstReceiveTimestamp"], "0");
}

#[test]
fn a_stale_receipt_deletes_nothing_and_the_newest_deletes_even_after_its_time() {
    let mut queue = queue(&[]);
    push(&mut queue, "a", 0, 0);
    let old = receive(&mut queue, 0).remove(0).receipt;
    let new = receive(&mut queue, 30_000).remove(0).receipt;
    queue.delete(&old).unwrap();
    assert_eq!(queue.counts(30_000).in_flight, 1);
    assert_eq!(queue.change_visibility(&old, 0, 30_000), Err(ReceiptProblem::NotInFlight));
    queue.settle(90_000);
    queue.delete(&new).unwrap();
    queue.delete(&new).unwrap();
    assert_eq!(queue.counts(90_000), Counts::default());
    assert_eq!(queue.delete("other-0-1"), Err(ReceiptProblem::Malformed));
}

#[test]
fn visibility_can_be_changed_while_in_flight_only() {
    let mut queue = queue(&[]);
    push(&mut queue, "a", 0, 0);
    let receipt = receive(&mut queue, 0).remove(0).receipt;
    queue.change_visibility(&receipt, 60 * SECOND, 10_000).unwrap();
    assert!(receive(&mut queue, 69_999).is_empty());
    queue.change_visibility(&receipt, 0, 69_999).unwrap();
    assert_eq!(queue.counts(69_999).visible, 1);
    assert_eq!(queue.change_visibility(&receipt, 5, 69_999), Err(ReceiptProblem::NotInFlight));
}

#[test]
fn a_delayed_message_is_counted_and_seen_when_its_delay_is_over() {
    let mut queue = queue(&[]);
    push(&mut queue, "late", 5 * SECOND, 0);
    assert_eq!((queue.counts(0).delayed, queue.counts(0).visible), (1, 0));
    assert!(receive(&mut queue, 4_999).is_empty());
    assert_eq!(queue.next_visible(), Some(5_000));
    assert_eq!(bodies(&receive(&mut queue, 5_000)), ["late"]);
}

#[test]
fn what_is_older_than_the_retention_goes_even_while_in_flight() {
    let mut queue = queue(&[("MessageRetentionPeriod", "60")]);
    push(&mut queue, "a", 0, 0);
    receive(&mut queue, 50_000);
    assert_eq!(queue.counts(59_999).oldest_age, Some(std::time::Duration::from_millis(59_999)));
    queue.settle(60_000);
    assert_eq!(queue.counts(60_000), Counts::default());
}

#[test]
fn a_message_that_was_received_often_enough_is_a_dead_letter_when_it_is_due_again() {
    let redrive = Redrive { target: "arn".to_owned(), most_receives: 2 };
    let mut queue = queue(&[]);
    push(&mut queue, "bad", 0, 0);
    for round in 0..2 {
        queue.settle(round * 30_000);
        assert!(queue.take_dead_letters(&redrive, 10).is_empty());
        assert_eq!(receive(&mut queue, round * 30_000).len(), 1);
    }
    queue.settle(60_000);
    let dead = queue.take_dead_letters(&redrive, 10);
    assert_eq!((dead[0].sent, dead[0].receives), (0, 2));
    assert_eq!(queue.counts(60_000), Counts::default());
}

#[test]
fn what_was_in_flight_when_the_state_was_saved_is_visible_again_and_delays_go_on() {
    let mut before = queue(&[("VisibilityTimeout", "90")]);
    push(&mut before, "a", 0, 0);
    push(&mut before, "late", 5 * SECOND, 0);
    receive(&mut before, 0);
    let mut after: Queue = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    let counts = after.counts(0);
    assert_eq!((counts.visible, counts.in_flight, counts.delayed), (1, 0, 1));
    assert_eq!(receive(&mut after, 0)[0].system_attributes["ApproximateReceiveCount"], "2");
    push(&mut after, "new", 0, 0);
    assert_eq!(after.attributes.number("VisibilityTimeout"), 90);
    assert_eq!(bodies(&receive(&mut after, 5_000)), ["late", "new"]);
}

#[test]
fn ten_thousand_messages_go_through_without_growing_slower() {
    let mut queue = queue(&[]);
    for number in 0..10_000 {
        push(&mut queue, &number.to_string(), 0, number);
    }
    let mut seen = 0;
    loop {
        let received = receive(&mut queue, 10_000);
        if received.is_empty() {
            break;
        }
        for message in &received {
            queue.delete(&message.receipt).unwrap();
        }
        seen += received.len();
    }
    assert_eq!((seen, queue.counts(10_000)), (10_000, Counts::default()));
}
