# SELECT schedule(...) FROM t against INSERT ... SELECT of the same rows.

# bulk DUE_AT WORKLOAD
bulk()
{
	progress "  $2"
	empty_tables
	sql >/dev/null <<-SQL
		SELECT clock_timestamp() AS began \gset
		SELECT count(cmdsched.schedule('do_nothing', data, $1)) FROM bench.payloads WHERE n <= $drained;
		SELECT clock_timestamp() AS ended \gset
		CALL bench.record_rate('$2', 'cmdsched', $drained, :'began', :'ended');
		CALL bench.wait_until_drained();
	SQL
	empty_tables
	sql <<-SQL
		SELECT clock_timestamp() AS began \gset
		CALL bench.insert_plain($drained, $1);
		CALL bench.record_rate('$2', 'INSERT ... SELECT', $drained, :'began');
	SQL
}

bulk "now() + interval '1 day'" 'SELECT schedule() FROM a table'
bulk 'now()' 'SELECT schedule() FROM a table, due now'
empty_tables
