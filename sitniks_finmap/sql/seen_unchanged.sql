-- Updates the check times of verified entries that Finmap showed at $now.
update finmap_upload
set verified_at = $now, looked_at = $now
from finmap_operations f
where f.external_id = finmap_upload.external_id
    and f.read_at = $now
    and finmap_upload.state = 'verified'
    and finmap_upload.missing_since is null
