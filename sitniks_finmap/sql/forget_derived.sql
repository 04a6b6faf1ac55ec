-- Before the source changes: what was derived from the other one goes. Nothing of it was posted.
delete from operations;
delete from rejected_transactions;
delete from unbooked_orders;
delete from differences;
delete from reconciliation;
-- What is derived from orders follows anew if the source changes back.
update order_stages set meaning_hash = null;
