# README.md tells the truth: its SQL examples give what it says, in the order
# in which they stand there and in one session, and it names every function,
# setting and column as it is.
#
# What a ```sql block claims is in the comments "-- => ..." below a statement:
# all that the statement returns, a line for each row, columns separated by
# " | ", "..." for anything; or the error it raises.  Statements without such a
# comment need only succeed.  A statement ends with a line that ends with ";".

use strict;
use warnings;

use Cmdsched;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $readme = slurp_file('README.md');
my $node = new_node('readme', preload => 'cmdsched, pg_cron', shop => 0);

# ----------------------------------------------------------------------------
# The examples
# ----------------------------------------------------------------------------

# The statements of a file's ```sql blocks: {line, sql, claims}.
sub statements_of
{
	my ($text) = @_;
	my ($in_block, $in_body, $sql, $number) = (0, 0, '', 0);
	my @statements;

	foreach my $line (split /\n/, $text)
	{
		$number++;
		if ($line =~ /^\s*```/)
		{
			$in_block = !$in_block && $line =~ /^\s*```sql$/;
			$sql = '';
		}
		elsif (!$in_block)
		{
			next;
		}
		elsif ($line =~ /^\s*-- => ?(.*)/)
		{
			push @{ $statements[-1]{claims} }, $1;
		}
		else
		{
			$sql .= "$line\n";
			$in_body = !$in_body for $line =~ /\$\$/g;
			next if $in_body || $line !~ /;\s*(--.*)?$/;
			push @statements, { line => $number, sql => $sql, claims => [] };
			$sql = '';
		}
	}
	return @statements;
}

# Runs all in one session.  Adds to each statement: output, messages.
sub run_statements
{
	my (@statements) = @_;
	my ($script, $output, $messages) = ("\\set VERBOSITY terse\n", '', '');

	foreach my $statement (@statements)
	{
		# On a slow machine, sleep until what was to run by then has run.
		my $sql = $statement->{sql} =~ s/\bpg_sleep\(/readme.sleep(/r;

		$script .= "$sql\n\\echo -- END --\n\\warn -- END --\n";
	}
	IPC::Run::run(
		[ 'psql', '-XqAt', '-P', 'pager=off', '-F', ' | ', '-U', 'postgres', '-d', $node->connstr('postgres'), '-f', '-' ],
		'<', \$script, '>', \$output, '2>', \$messages,
		IPC::Run::timeout(300));

	my @outputs = split /^-- END --\n/m, $output, -1;
	my @messages = split /^-- END --\n/m, $messages, -1;
	foreach my $statement (@statements)
	{
		$statement->{output} = shift @outputs // '';
		$statement->{messages} = shift(@messages) // '(the session is gone)';
		$statement->{messages} =~ s/^psql:[^:]*:\d+: //mg;
	}
	return;
}

sub squeeze
{
	my ($text) = @_;
	$text =~ s/[ \t]+/ /g;
	$text =~ s/^ | $//mg;
	return $text;
}

sub check_statement
{
	my ($statement) = @_;
	my $claim = join("\n", @{ $statement->{claims} });
	my ($first_line) = grep { /\S/ && !/^--/ } split /\n/, $statement->{sql};
	my $name = "line $statement->{line}: $first_line";
	my $is_error = $claim =~ /^ERROR:/;
	my $result = squeeze($is_error ? $statement->{messages} : $statement->{output});
	my $pattern = join('.*', map { quotemeta } split /\.\.\./, squeeze($claim), -1);

	chomp $result;
	like($result, qr/\A$pattern\z/, $name) if $claim ne '';
	is($statement->{messages}, '', "$name succeeds") if !$is_error;
	return;
}

$node->safe_psql('postgres', <<'SQL');
CREATE SCHEMA readme;
GRANT USAGE ON SCHEMA readme TO PUBLIC;
CREATE FUNCTION readme.sleep(seconds double precision) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	until timestamptz := clock_timestamp() + seconds * interval '1 second';
BEGIN
	PERFORM pg_sleep(seconds);
	WHILE clock_timestamp() < until + interval '60 seconds'
		AND EXISTS (SELECT FROM cmdsched.scheduled_commands WHERE due_at <= until)
	LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;
SQL

my @statements = statements_of($readme);
cmp_ok(scalar(@statements), '>', 50, 'README.md has examples');
run_statements(@statements);
check_statement($_) foreach @statements;

# ----------------------------------------------------------------------------
# Functions, settings, columns, links
# ----------------------------------------------------------------------------

# A row of a table of the README begins with these cells.
sub has_row
{
	my ($name, @cells) = @_;
	my $row = '| ' . join(' | ', @cells) . ' |';
	ok(index($readme, "\n$row") >= 0, $name) or diag("there is no row $row");
	return;
}

sub rows
{
	my ($sql) = @_;
	return map { [ split /\t/, $_, -1 ] } split /\n/,
	  $node->safe_psql('postgres', $sql, extra_params => [ '-F', "\t" ]);
}

my @functions = rows(<<'SQL');
SELECT proname, pg_get_function_arguments(oid), coalesce(pg_get_function_result(oid), 'procedure')
  FROM pg_proc WHERE pronamespace = 'cmdsched'::regnamespace ORDER BY 1
SQL
cmp_ok(scalar(@functions), '>', 15, 'the extension has functions');
foreach my $function (@functions)
{
	my ($name, $arguments, $result) = @$function;
	my %short = ('00:00:01' => '1 second', '00:00:05' => '5 seconds', '01:00:00' => '1 hour');

	$arguments = join(', ', grep { !/^OUT / } split /, /, $arguments);
	$arguments =~ s/^IN //;
	$arguments =~ s{::[a-z ]+(\[\])?}{}g;
	$arguments =~ s/timestamp with time zone/timestamptz/g;
	$arguments =~ s/'(\d\d:\d\d:\d\d)'/"'" . ($short{$1} || $1) . "'"/ge;
	$result =~ s/cmdsched\.//;
	has_row("function $name()", "`$name($arguments)`", $result);
}

my @settings = rows(<<'SQL');
SELECT name, current_setting(name), CASE context WHEN 'sighup' THEN 'reload' ELSE context END
  FROM pg_settings WHERE name LIKE 'cmdsched.%' ORDER BY 1
SQL
cmp_ok(scalar(@settings), '>=', 10, 'the extension has settings');
foreach my $setting (@settings)
{
	my ($name, $value, $context) = @$setting;
	has_row("setting $name", "`$name`", $value eq '' ? '(empty)' : "`$value`", $context);
}

foreach my $column (rows(<<'SQL'))
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = 'cmdsched.scheduled_commands'::regclass AND attnum > 0 ORDER BY attnum
SQL
{
	my ($name, $type) = @$column;
	$type =~ s/timestamp with time zone/timestamptz/;
	has_row("column $name", "`$name`", $type);
}

foreach my $column (rows(<<'SQL'))
SELECT attrelid::regclass, attname FROM pg_attribute
 WHERE attrelid IN ('cmdsched.handlers'::regclass, 'cmdsched.workers'::regclass, 'cmdsched.command_history'::regclass) AND attnum > 0
 ORDER BY attrelid, attnum
SQL
{
	my ($table, $name) = @$column;
	ok(index($readme, "`$name`") >= 0, "column $name of $table");
}

foreach my $file ('test/pgtap/stories.sql', 'test/python/test_stories.py')
{
	ok(index($readme, slurp_file($file)) >= 0, "$file is shown as it is");
}

foreach my $link ($readme =~ /\]\(([^)]+)\)/g)
{
	if ($link =~ /^#(.*)/)
	{
		my $anchor = $1;
		my @headings = map { lc(s/ /-/gr) } $readme =~ /^#+ (.*)/mg;
		ok((grep { $_ eq $anchor } @headings), "heading $link");
	}
	else
	{
		ok(-e $link, "file $link");
	}
}

$node->stop;
done_testing();
