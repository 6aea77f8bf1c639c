//! Each model in thousands of orders. A failure prints the order, for `shuttle::replay`.

use s3fcp_models::explore::explore;
use s3fcp_models::{download_model, limit_model, queue_model, threads_model, window_model};

macro_rules! explored {
    ($($module:ident::$model:ident)*) => {
        $(
            #[test]
            fn $model() {
                explore($module::$model);
            }
        )*
    };
}

explored! {
    limit_model::no_permit_is_lost_while_the_limit_moves
    limit_model::a_range_that_stops_waiting_leaves_its_turn_to_the_next
    limit_model::the_ordered_stream_gets_permits_that_come_back
    limit_model::the_ordered_stream_sees_a_retreat
    limit_model::the_ordered_stream_sees_a_new_number
    threads_model::every_range_is_counted_once_while_threads_come_and_go
    window_model::all_ranges_get_memory_and_never_more_than_there_is
    window_model::a_range_that_gives_up_holds_up_nobody
    window_model::memory_for_two_wakes_both
    window_model::the_front_range_always_gets_memory
    queue_model::bytes_come_in_order_and_neither_side_sleeps_on
    queue_model::a_task_that_dies_is_an_error_after_its_bytes
    queue_model::becoming_the_front_range_wakes_the_task
    queue_model::a_cancelled_range_keeps_no_memory
    download_model::every_byte_is_delivered_in_order_within_the_window
    download_model::ranges_that_are_cancelled_are_planned_again
    download_model::a_range_that_fails_ends_the_download_after_the_bytes_before_it
    download_model::a_download_that_is_dropped_leaves_nothing
}
