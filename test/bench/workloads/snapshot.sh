# Somebody's old snapshot keeps every dead row and index entry: does the last
# tenth of a large drain run as fast as the first?

workload="drain of $large under an old snapshot, its last tenth"
progress "  $workload"
open_snapshot
fill insert_row "$large"
sql -c "CALL bench.drain_in_tenths('$workload', $large)"
close_snapshot
empty_tables
