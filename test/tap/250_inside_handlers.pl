# What a handler may do inside: subtransactions by the thousand, which leave no
# memory behind, and NOTIFY, which is sent with the effects.

use strict;
use warnings;

use Cmdsched;
use Test::More;

# One process, so that its memory can be compared.
my $node = new_node('inside', conf => "cmdsched.max_executors = 1\n");

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE TABLE shop.kept (schedule_id text, n integer);
CREATE TABLE shop.memory (schedule_id text, pid integer DEFAULT pg_backend_pid(), bytes bigint);

-- Every other block is rolled back.
CREATE FUNCTION shop.blocks(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	FOR n IN 1 .. (command.command_data->>'blocks')::integer LOOP
		BEGIN
			INSERT INTO shop.kept VALUES (command.schedule_id, n);
			IF n % 2 = 0 THEN
				PERFORM 1 / 0;
			END IF;
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
	PERFORM shop.fail(command);
END
$$;

CREATE FUNCTION shop.look_at_memory(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE sql AS $$
	INSERT INTO shop.memory SELECT command.schedule_id, pg_backend_pid(), sum(total_bytes) FROM pg_backend_memory_contexts
$$;

CREATE FUNCTION shop.tell(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_notify('told', format('%s in attempt %s', command.schedule_id, command.attempts + 1));
	PERFORM shop.fail(command);
END
$$;
CREATE FUNCTION shop.listen(command cmdsched.scheduled_commands) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	LISTEN told;
END
$$;
SELECT cmdsched.register_handler('Blocks', 'shop.blocks(cmdsched.scheduled_commands)', backoff => '0');
SELECT cmdsched.register_handler('Memory', 'shop.look_at_memory(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Tell', 'shop.tell(cmdsched.scheduled_commands)', backoff => '0');
SELECT cmdsched.register_handler('Listen', 'shop.listen(cmdsched.scheduled_commands)', max_attempts => 1);
SQL

# ----------------------------------------------------------------------------
# Subtransactions
# ----------------------------------------------------------------------------

query($node, <<'SQL');
BEGIN;
SELECT cmdsched.schedule('Effect', schedule_id => 'blocks-before');
SELECT cmdsched.schedule('Blocks', '{"blocks": 10000, "times": 0}', schedule_id => 'blocks-many');
SELECT cmdsched.schedule('Blocks', '{"blocks": 1000, "times": 1}', schedule_id => 'blocks-failing');
SELECT cmdsched.schedule('Effect', schedule_id => 'blocks-after');
COMMIT;
SQL
ran_once($node, 'blocks-%', 4, 'handlers with 10,000 blocks and those beside them have run');
is(query($node, "SELECT string_agg(schedule_id || ': ' || kept, ', ' ORDER BY schedule_id) FROM (SELECT schedule_id, count(*) FILTER (WHERE n % 2 = 1) AS kept FROM shop.kept GROUP BY 1 HAVING bool_and(n % 2 = 1)) AS k"),
	'blocks-failing: 500, blocks-many: 5000', 'what the blocks kept is there, once');
is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = 'blocks-failing'"), '2', 'one was tried again');

# ----------------------------------------------------------------------------
# No leak
# ----------------------------------------------------------------------------

my $rounds = 0;

sub memory_after
{
	my ($id, $count, $data) = @_;

	query($node, "SELECT count(cmdsched.schedule('Blocks', '$data', schedule_id => '$id-' || i)) FROM generate_series(1, $count) AS i");
	ran_once($node, "$id-%", $count, "$id: all have run");
	query($node, "SELECT cmdsched.schedule('Memory', schedule_id => '$id')");
	wait_for($node, "SELECT count(*) FROM shop.memory", ++$rounds, "$id: memory is measured");
	return query($node, "SELECT bytes FROM shop.memory WHERE schedule_id = '$id'");
}

my $warm = memory_after('warm', 10, '{"blocks": 100, "times": 1}');
my $hot = memory_after('hot', 100, '{"blocks": 100, "times": 1}');
is(query($node, 'SELECT count(DISTINCT pid) FROM shop.memory'), '1', 'in the same process');
cmp_ok($hot - $warm, '<', 200_000, 'a hundred commands of a hundred blocks, failing once, leave no memory behind');

# ----------------------------------------------------------------------------
# NOTIFY and LISTEN
# ----------------------------------------------------------------------------

my $listener = session($node);
my $heard = '';

$listener->query('LISTEN told');
query($node, "SELECT cmdsched.schedule('Tell', '{\"times\": 1}', schedule_id => 'told')");
ran_once($node, 'told', 1, 'a handler that notifies has run');
is(query($node, "SELECT attempt FROM shop.effects WHERE schedule_id = 'told'"), '2', 'in its second attempt');
query($node, "NOTIFY told, 'end'");
for (1 .. 1000)
{
	$heard .= $listener->query('SELECT pg_sleep(0.02)');
	last if $heard =~ /"end"/;
}
is(join(', ', $heard =~ /"told" with payload "([^"]*)"/g), 'told in attempt 2, end', 'its notification comes once, of the attempt that succeeded');
$listener->quit;

query($node, "SELECT cmdsched.schedule('Listen', schedule_id => 'listen')");
wait_for($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.get('listen')", 'failed|0A000', 'LISTEN is an error of the handler');
query($node, "SELECT cmdsched.schedule('Effect', schedule_id => 'after-listen')");
ran_once($node, 'after-listen', 1, 'commands run after that');

$node->stop;
done_testing();
