-- One row: how many operations Finmap accepted since a moment ($moment) and still has.
select count(*) from current_uploads where state in ('sent', 'verified') and sent_at >= $moment
