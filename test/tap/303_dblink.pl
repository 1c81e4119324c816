# A handler that connects to the server again is a client like any other: it
# gets no connection as somebody else by being in the server already.

use strict;
use warnings;

use Cmdsched;
use Test::More;

my $node = new_node('dblink');

wait_for_workers($node, 'the workers are there');
query($node, <<'SQL');
CREATE EXTENSION dblink SCHEMA public;
CREATE EXTENSION postgres_fdw SCHEMA public;
CREATE ROLE mallory LOGIN;
CREATE TABLE shop.seen (what text, by_whom name DEFAULT current_user);
GRANT INSERT ON shop.seen TO PUBLIC;
CREATE FUNCTION shop.connect(jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE $1->>'sql';
END
$$;
SELECT cmdsched.register_handler('Connect', 'shop.connect(jsonb)', max_attempts => 1);
SQL
my ($host, $port) = ($node->host, $node->port);

# The server trusts everybody on its socket, as Debian's does the user postgres:
# only the extensions are in between.
is(query($node, "SELECT * FROM public.dblink('host=$host port=$port dbname=postgres user=mallory', 'SELECT current_user::text') AS t (x text)"), 'mallory', 'a superuser gets a connection without a password');

my %attempts = (
	'as-postgres' => [ "host=$host port=$port dbname=postgres user=postgres", '2F003' ],
	'as-oneself' => [ "host=$host port=$port dbname=postgres user=mallory", '2F003' ],
	'with-a-password' => [ "host=$host port=$port dbname=postgres user=postgres password=x", '2F003' ]);
foreach my $id (sort keys %attempts)
{
	my ($connection, $state) = @{ $attempts{$id} };

	foreach my $function ("dblink_exec('$connection', 'INSERT INTO shop.seen VALUES (''$id'')')", "dblink_connect('c', '$connection')")
	{
		my $sql = "SELECT public.$function" =~ s/'/''/gr;

		query($node, "SET ROLE mallory; SELECT cmdsched.schedule('Connect', jsonb_build_object('sql', '$sql'), schedule_id => '$id', on_conflict => 'replace')");
		wait_for($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.get('$id')", "failed|$state", "$id: " . ($function =~ /^(\w+)/)[0] . ' is refused');
	}
}
query($node, "SET ROLE mallory; SELECT cmdsched.schedule('Connect', jsonb_build_object('sql', 'SELECT public.dblink_connect_u(''host=$host port=$port user=postgres'')'), schedule_id => 'unchecked')");
wait_for($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.get('unchecked')", 'failed|42501', 'dblink_connect_u() is for superusers');
query($node, "SET ROLE mallory; SELECT cmdsched.schedule('Connect', jsonb_build_object('sql', 'CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host ''$host'')'), schedule_id => 'server')");
wait_for($node, "SELECT status, last_error->>'sqlstate' FROM cmdsched.get('server')", 'failed|42501', 'nor does it make a foreign server');
is(query($node, 'SELECT count(*) FROM shop.seen'), '0', 'nothing was done as anybody');

$node->stop;
done_testing();
