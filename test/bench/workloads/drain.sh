# Commands that are all due, against the bare calls of the same handler and
# against queues of one's own.

readonly plpgsql=('do_nothing empty handler' 'insert_row handler inserts a row')
readonly others=('sql_nothing empty SQL handler' 'sql_insert SQL handler inserts a row' 'c_nothing C handler')

# measure HANDLER WORKLOAD
measure()
{
	drain "$1" "$drained" "$2"
	call_handlers "$1" "$drained" "$2"
}

for handler in "${plpgsql[@]}"; do
	name=${handler%% *}
	workload="drain, ${handler#* }"
	measure "$name" "$workload"
	consume consume_sets 100 "$name" "$drained" "$workload"
	consume consume_sets 1000 "$name" "$drained" "$workload"
	consume consume_one_by_one 100 "$name" "$drained" "$workload"
done

for handler in "${others[@]}"; do
	measure "${handler%% *}" "drain, ${handler#* }"
done

set_server synchronous_commit off
for handler in "${plpgsql[@]}"; do
	measure "${handler%% *}" "drain, ${handler#* }, synchronous_commit off"
done
set_server
