# Databases in other encodings than UTF-8: ids, payloads and errors come through
# as they are, are cut between two characters, and are never a format.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('encodings', shop => 0);
my $offset = -s $node->logfile;

# A character of each encoding, that is none of ASCII.
my %character = (
	UTF8 => "chr(8364)",
	LATIN1 => "chr(228)",
	SQL_ASCII => "chr(228)",
	EUC_JP => "convert_from('\\xa4a2', 'EUC_JP')");

foreach my $encoding (sort keys %character)
{
	my $db = lc $encoding;
	my $character = $character{$encoding};

	query($node, "CREATE DATABASE $db TEMPLATE template0 ENCODING '$encoding' LOCALE 'C'");
	create_shop($node, $db);
	query($node, <<"SQL", $db);
SET client_encoding = '$encoding';
CREATE TABLE shop.echo (id text, type text, data jsonb, reason text);
CREATE FUNCTION shop.echo(c cmdsched.scheduled_commands) RETURNS void LANGUAGE sql AS \$\$
	INSERT INTO shop.echo VALUES (c.schedule_id, c.command_type, c.command_data, c.metadata->>'reason')
\$\$;
CREATE FUNCTION shop.complain(data jsonb) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	RAISE EXCEPTION USING MESSAGE = repeat(data->>'text', (data->>'times')::integer), DETAIL = repeat(data->>'text', (data->>'times')::integer), ERRCODE = 'P0042';
END
\$\$;
CREATE FUNCTION shop.give_up(data jsonb) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN PERFORM cmdsched.abandon(data->>'text'); END \$\$;
SELECT cmdsched.register_handler($character || '%s', 'shop.echo(cmdsched.scheduled_commands)');
SELECT cmdsched.register_handler('Complain', 'shop.complain(jsonb)', max_attempts => 1);
SELECT cmdsched.register_handler('GiveUp', 'shop.give_up(jsonb)', max_attempts => 1);
SQL

	# Names and payloads.
	query($node, "SELECT cmdsched.schedule($character || '%s', jsonb_build_object('text', $character), metadata => jsonb_build_object('reason', $character), schedule_id => '%s%n' || $character)", $db);
	wait_for($node, "SELECT count(*) FROM shop.echo WHERE id = '%s%n' || $character AND type = $character || '%s' AND data->>'text' = $character AND reason = $character",
		'1', "$encoding: names and payloads come through", db => $db);
	query($node, "SELECT cmdsched.schedule($character || '%s', '{}', now() + interval '1 day', schedule_id => $character)", $db);
	is(query($node, "SELECT (cmdsched.get($character)).schedule_id = $character, cmdsched.reschedule($character, now() + interval '2 days'), cmdsched.cancel($character)", $db),
		't|t|t', "$encoding: a command is found by its name");

	# Errors: of a few characters, of a megabyte, and such as look like formats.
	my $times = "1048576 / octet_length($character)";
	query($node, <<"SQL", $db);
SELECT cmdsched.schedule('Complain', jsonb_build_object('text', $character, 'times', 3), schedule_id => 'short');
SELECT cmdsched.schedule('Complain', jsonb_build_object('text', $character, 'times', $times), schedule_id => 'long');
SELECT cmdsched.schedule('Complain', jsonb_build_object('text', 'x' || $character, 'times', $times), schedule_id => 'odd');
SELECT cmdsched.schedule('Complain', '{"text": "%s %n %d %1\$s %", "times": 1}', schedule_id => 'format %s%n');
SELECT cmdsched.schedule('GiveUp', jsonb_build_object('text', '%s%n ' || $character), schedule_id => 'gives up');
SQL
	wait_for($node, "SELECT count(*) FROM cmdsched.scheduled_commands WHERE status = 'failed'", '5', "$encoding: all have failed", db => $db);
	is(query($node, "SELECT last_error->>'message' = repeat($character, 3), last_error->>'detail' = repeat($character, 3) FROM cmdsched.get('short')", $db), 't|t', "$encoding: an error comes through");
	is(query($node, "SELECT last_error->>'message' = left(repeat($character, 5000), length(last_error->>'message')), octet_length(last_error->>'message') BETWEEN 2000 AND 2048, octet_length(last_error::text) <= 8192 FROM cmdsched.get('long')", $db),
		't|t|t', "$encoding: a long one is cut");
	is(query($node, "SELECT last_error->>'message' = left(repeat('x' || $character, 5000), length(last_error->>'message')), octet_length(last_error->>'message') BETWEEN 2000 AND 2048 FROM cmdsched.get('odd')", $db),
		't|t', "$encoding: between two characters");
	is(query($node, "SELECT last_error->>'message', last_error->>'detail', last_error->>'sqlstate' FROM cmdsched.get('format %s%n')", $db), '%s %n %d %1$s %|%s %n %d %1$s %|P0042', "$encoding: it is not taken for a format");
	is(query($node, "SELECT last_error->>'message' = '%s%n ' || $character FROM cmdsched.get('gives up')", $db), 't', "$encoding: nor is the reason of abandon()");
}

# What the database cannot store is an error of schedule().
fails_with($node, q{SELECT cmdsched.schedule('Effect', '"\u20ac"')}, '22P05', 'a character that LATIN1 does not have', 'latin1');
fails_with($node, "SET client_encoding = 'UTF8'; SELECT cmdsched.schedule('Effect', schedule_id => U&'\\20ac')", '22P05', 'nor in a name', 'latin1');
is(query($node, 'SELECT count(*) FROM cmdsched.scheduled_commands', 'latin1'), '5', 'nothing was scheduled');

like(log_of($node, $offset), qr/command "format %s%n" of type "Complain": failed, attempt 1, SQLSTATE/, 'the log says what failed');
unlike(log_of($node, $offset), qr/PANIC|TRAP|terminated by signal/, 'no process crashed');
$node->stop;
done_testing();
