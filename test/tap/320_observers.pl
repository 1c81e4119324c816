# Payloads and error texts do not come to those who watch the server: the
# extensions that do so see the text of our statements, never a value, and
# neither does the journal have one.

use strict;
use warnings;

use Cmdsched;
use Digest::MD5 'md5_hex';
use PostgreSQL::Test::Utils 'slurp_file';
use Test::More;

# From 16 on auto_explain can log parameters, which is its own setting: like
# every client's, ours would be among them.
my $node = new_node('observers', preload => 'pg_stat_statements, auto_explain, cmdsched', conf => <<'CONF');
pg_stat_statements.track = all
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
auto_explain.log_analyze = on
CONF
$node->append_conf('postgresql.conf', 'auto_explain.log_parameter_max_length = 0') if query($node, 'SHOW server_version_num') >= 160000;
$node->reload;

# Sessions make the secrets themselves, so that they are in no statement.
my ($payload, $text) = (md5_hex('payload'), md5_hex('text'));
my $secret = qr/$payload|$text/;

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE EXTENSION pg_stat_statements;
CREATE ROLE alice LOGIN;
CREATE TABLE shop.received (data jsonb);
GRANT INSERT, SELECT ON shop.received TO PUBLIC;
CREATE FUNCTION shop.receive(command cmdsched.scheduled_commands) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO shop.received VALUES (command.command_data);
	IF command.schedule_id LIKE 'fails%' AND command.attempts = 0 THEN
		RAISE '%', md5('text') USING DETAIL = md5('text');
	END IF;
END
$$;
SELECT cmdsched.register_handler('Receive', 'shop.receive(cmdsched.scheduled_commands)', backoff => '0.1 seconds');
SQL

# Every way in and out, more often than a plan is made for one call only.
query($node, <<'SQL');
SET SESSION AUTHORIZATION alice;
SELECT cmdsched.schedule('Receive', jsonb_build_object('secret', md5('payload')), now() + interval '1 hour', jsonb_build_object('secret', md5('payload')), 'moved-' || i) FROM generate_series(1, 8) AS i;
SELECT cmdsched.schedule('Receive', jsonb_build_object('secret', md5('payload')), now() + interval '1 hour', schedule_id => 'moved-' || i, on_conflict => 'replace') FROM generate_series(1, 8) AS i;
SELECT cmdsched.reschedule('moved-' || i, now()) FROM generate_series(1, 8) AS i;
SELECT count(cmdsched.schedule('Receive', jsonb_build_object('secret', md5('payload')), schedule_id => 'fails-' || i)) FROM generate_series(1, 8) AS i;
SELECT count(cmdsched.schedule('Receive', jsonb_build_object('secret', md5('payload')))) FROM generate_series(1, 100) AS i;
SQL
wait_for($node, "SELECT count(*), bool_and(data->>'secret' = md5('payload')) FROM shop.received", '116|t', 'all commands were run with what they were given');
is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands'), '0', 'those that failed at first, too');

is(query($node, "SELECT count(*) > 0 FROM pg_stat_statements WHERE query LIKE '%cmdsched.scheduled_commands%' AND query LIKE 'UPDATE %'"), 't', 'pg_stat_statements has our statements');
is(query($node, "SELECT count(*) > 0 FROM pg_stat_statements WHERE query LIKE 'INSERT INTO shop.received%'"), 't', "and the handlers'");
unlike(query($node, 'SELECT query FROM pg_stat_statements'), $secret, 'without any value');

my $log = log_of($node);
like($log, qr/cmdsched executor LOG:.*duration: .* plan:.*INSERT INTO shop\.received/s, "auto_explain has the handlers' statements");
like($log, qr/UPDATE cmdsched\.scheduled_commands SET status/, 'and ours');
unlike($log, $secret, 'without any value');

my $journal = $node->data_dir . '/pg_stat_tmp/cmdsched.journal';
is(sprintf('%o', (stat $journal)[2] & 0777), '600', 'the journal is for the server alone');
unlike(slurp_file($journal), $secret, 'and has no value either');

$node->stop;
done_testing();
