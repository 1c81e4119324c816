# monitoring/: Prometheus scrapes prometheus-postgres-exporter, every alert rule is
# given its cause, and what the dashboard and the rules name is measured.

use strict;
use warnings;

use Cmdsched;
use Compile;
use HTTP::Tiny;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $folder = PostgreSQL::Test::Utils::tempdir();
my $http = HTTP::Tiny->new(proxy => undef, http_proxy => undef, timeout => 5);
my $limit = 60;
my $output;

# ----------------------------------------------------------------------------
# The server, and its clock
# ----------------------------------------------------------------------------

my $clock = compile('clock');
my $offset = 0;

append_to_file("$folder/clock", pack('q', 0));
my $node = new_node('monitored', conf => "cmdsched.poll_interval = 1s\n", streaming => 1, start => 0);
start_server('start');
create_shop($node);
query($node, $_) foreach blocks('sql');

sub start_server
{
	my ($how) = @_;

	local $ENV{LD_PRELOAD} = $clock;
	local $ENV{CLOCK_FILE} = "$folder/clock";
	return $how eq 'start' ? $node->start : $node->restart;
}

sub move_clock
{
	my ($seconds) = @_;

	$offset += $seconds;
	open my $handle, '+<:raw', "$folder/clock" or die;
	syswrite $handle, pack('q', $offset);
	close $handle;
	return;
}

sub restart_with
{
	my (%settings) = @_;

	set_conf($node, %settings);
	return start_server('restart');
}

# ----------------------------------------------------------------------------
# What monitoring/ says
# ----------------------------------------------------------------------------

# The code in its README.md, of one language.
sub blocks
{
	my ($language) = @_;

	return slurp_file('monitoring/README.md') =~ /^ *```$language\n(.*?)^ *```$/msg;
}

# The first column of the table under a heading there.
sub table
{
	my ($heading) = @_;
	my ($section) = slurp_file('monitoring/README.md') =~ /^## \Q$heading\E\n(.*?)(?=^## |\z)/ms;

	return sort $section =~ /^\| `(\w+)` \|/mg;
}

sub metrics_in
{
	my (@expressions) = @_;
	my %found = map { $_ => 1 } map { /\b(cmdsched_\w+)/g } @expressions;

	return sort keys %found;
}

my $dashboard = decode_json(slurp_file('monitoring/dashboard.json'));
my @panels = map { $_->{expr} } map { @{ $_->{targets} } } @{ $dashboard->{panels} };
my @variables = map { $_->{definition} // () } @{ $dashboard->{templating}{list} };

# ----------------------------------------------------------------------------
# The exporter and Prometheus
# ----------------------------------------------------------------------------

my $exporter_port = PostgreSQL::Test::Cluster::get_free_port();
my $prometheus_port = PostgreSQL::Test::Cluster::get_free_port();
my %programs;

sub start_program
{
	my ($name, @command) = @_;
	my $log = "$PostgreSQL::Test::Utils::log_path/$name.log";

	$programs{$name} = { log => $log, handle => IPC::Run::start(\@command, '<', \undef, '>', $log, '2>&1') };
	return;
}

END
{
	my $status = $?;
	$_->{handle}->kill_kill(grace => 5) foreach values %programs;
	$? = $status;
}

sub wait_until
{
	my ($code, $what) = @_;
	my $deadline = time + $limit;
	my $passed;

	usleep(200_000) until ($passed = eval { $code->() }) || time > $deadline;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($passed, $what) or map { diag("$_:\n" . substr(slurp_file($programs{$_}{log}), -3000)) } sort keys %programs;
	return $passed;
}

sub scrape
{
	my $answer = $http->get("http://127.0.0.1:$exporter_port/metrics");

	die $answer->{content} unless $answer->{success};
	return $answer->{content};
}

# ask(PATH, PARAMETER => VALUE): the data in Prometheus' answer
sub ask
{
	my ($path, %parameters) = @_;
	my $answer = $http->get("http://127.0.0.1:$prometheus_port/api/v1/$path?" . $http->www_form_urlencode(\%parameters));
	my $content = decode_json($answer->{content});

	die "$path: $content->{error}" unless $content->{status} eq 'success';
	return $content->{data};
}

sub firing
{
	my %names = map { $_->{labels}{alertname} => 1 } grep { $_->{state} eq 'firing' } @{ ask('alerts')->{alerts} };

	return sort keys %names;
}

# Prometheus with the rules, but nobody waits for minutes here.
my $rules_text = slurp_file('monitoring/alerts.yaml');
(my $impatient = $rules_text) =~ s/^(\s+for:) \S+$/$1 0s/mg;
append_to_file("$folder/alerts.yaml", $impatient);
append_to_file("$folder/prometheus.yml", <<"YAML");
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: ['$folder/alerts.yaml']
scrape_configs:
  - job_name: postgresql
    static_configs: [{targets: ['127.0.0.1:$exporter_port']}]
YAML
ok(IPC::Run::run([ 'promtool', 'check', 'rules', 'monitoring/alerts.yaml' ], '>', \$output, '2>&1'), 'promtool is content with the rules') or diag($output);

{
	local $ENV{DATA_SOURCE_NAME} = 'user=cmdsched_monitor dbname=postgres sslmode=disable host=' . $node->host . ' port=' . $node->port;
	start_program('exporter', 'prometheus-postgres-exporter', "--web.listen-address=127.0.0.1:$exporter_port", '--extend.query-path=monitoring/queries.yaml');
}
wait_until(sub { scrape() =~ /^cmdsched_scheduler_running\{.*\} 1$/m }, 'the exporter asks the server');
start_program('prometheus', 'prometheus', "--config.file=$folder/prometheus.yml", "--storage.tsdb.path=$folder/prometheus", "--web.listen-address=127.0.0.1:$prometheus_port", '--log.level=warn');
wait_until(sub { @{ ask('query', query => 'cmdsched_scheduler_running == 1')->{result} } }, 'Prometheus asks the exporter');

# Collectors of the exporter's own may want a role that may do more.
unlike(slurp_file($programs{$_}{log}), qr/level=error(?!.*collector failed)|panic/i, "$_ does not complain") foreach sort keys %programs;

# ----------------------------------------------------------------------------
# The rules
# ----------------------------------------------------------------------------

my $later = "now() + interval '1 year'";

# Each with a way to bring it about, and one to end it, unless that takes time.
my %causes = (
	CmdschedNotMeasured => [
		sub { query($node, 'REVOKE USAGE ON SCHEMA cmdsched FROM PUBLIC, cmdsched_monitor') },
		sub { query($node, 'GRANT USAGE ON SCHEMA cmdsched TO PUBLIC, cmdsched_monitor') } ],
	CmdschedSchedulerMissing => [ sub { query($node, 'SELECT cmdsched.stop()') }, sub { query($node, 'SELECT cmdsched.start()') } ],
	CmdschedLauncherMissing => [ sub { restart_with(shared_preload_libraries => '') }, sub { restart_with(shared_preload_libraries => 'cmdsched') } ],
	CmdschedDisabled => [ sub { reload_conf($node, 'cmdsched.enabled' => 'off') }, sub { reload_conf($node, 'cmdsched.enabled' => 'on') } ],
	CmdschedLag => [ sub { late(100) }, sub { query($node, 'SELECT cmdsched.start()') } ],
	CmdschedLagIsLong => [ sub { late(700) }, sub { query($node, 'SELECT cmdsched.start()') } ],
	CmdschedApplicationIsLate => [
		sub {
			query($node, "SELECT cmdsched.register_handler('Abroad', NULL, external => true); SELECT cmdsched.schedule('Abroad', schedule_id => 'abroad')");
			move_clock(400);
		},
		sub { query($node, 'SELECT cmdsched.complete(schedule_id, claim_token) FROM cmdsched.claim_due_commands(1)') } ],
	CmdschedCommandsHeld => [
		sub { query($node, "BEGIN; SELECT cmdsched.register_handler('Gone', 'shop.effect(cmdsched.scheduled_commands)'); SELECT cmdsched.schedule('Gone', schedule_id => 'gone'); SELECT cmdsched.unregister_handler('Gone'); COMMIT") },
		sub { query($node, "SELECT cmdsched.cancel('gone')") } ],
	CmdschedCommandsFailed => [
		sub { query($node, "SELECT cmdsched.register_handler('FailOnce', 'shop.fail(cmdsched.scheduled_commands)', max_attempts => 1); SELECT cmdsched.schedule('FailOnce', schedule_id => 'failed')") },
		sub { query($node, "SELECT cmdsched.cancel('failed')") } ],
	CmdschedHandlerFails => [
		sub { query($node, "SELECT cmdsched.schedule('Fail', schedule_id => 'fails-' || n) FROM generate_series(1, 10) AS n") } ],
	CmdschedCommandRunsLong => [
		sub {
			query($node, "SELECT cmdsched.schedule('Slow', '{\"gate\": \"long\"}', schedule_id => 'long')");
			wait_until_running($node, 'long');
			move_clock(4000);
		},
		sub { open_gate($node, 'long') } ],
	CmdschedNoWorkerSlots => [ sub { restart_with(max_worker_processes => 3) }, sub { restart_with(max_worker_processes => 32) } ],
	CmdschedDatabaseIsCopy => [ sub { query($node, "SELECT cmdsched.schedule('Effect', execute_at => $later); DELETE FROM cmdsched.home") }, sub { query($node, 'SELECT cmdsched.adopt()') } ],
	CmdschedRecurringHeld => [
		sub { query($node, "SELECT cmdsched.schedule_cron('nightly', '0 3 * * *', 'Effect'); SELECT cmdsched.pause_recurring('nightly'); UPDATE cmdsched.recurring SET status = 'held', reason = 'time zone is gone'") },
		sub { query($node, "SELECT cmdsched.resume_recurring('nightly')") } ],
	CmdschedHookDisabled => [
		sub { query($node, "CREATE FUNCTION shop.hook(operation text, attributes jsonb) RETURNS void LANGUAGE sql AS 'SELECT'; SELECT cmdsched.register_hook('*', 'shop.hook(text, jsonb)'); SELECT cmdsched.disable_hook('*', 'shop.hook(text,jsonb)', 'it was slow')") },
		sub { query($node, "SELECT cmdsched.enable_hook('*', 'shop.hook(text,jsonb)')") } ]);

sub late
{
	my ($seconds) = @_;

	query($node, "SELECT cmdsched.stop(); SELECT cmdsched.schedule('Effect')");
	return move_clock($seconds);
}

my @rules = map { @{ $_->{rules} } } @{ ask('rules')->{groups} };

is(join(' ', table('Alerts')), join(' ', sort map { $_->{name} } @rules), 'README.md has the alerts');
wait_until(sub { !firing() }, 'none fires to begin with');
foreach my $rule (@rules)
{
	my $name = $rule->{name};
	my ($begin, $end) = @{ $causes{$name} // [] };

	like($rules_text, qr/^      - alert: $name\n        expr: .*?^        for: \d+m$/ms, "$name: waits a while");
	ok($rule->{annotations}{summary} && $rule->{annotations}{description}, "$name: says what it is, and what to do");
	like($rule->{labels}{severity}, qr/^(warning|critical)$/, "$name: has a severity");
	ok($begin, "$name: has a cause here") or next;
	$begin->();
	wait_until(sub { grep { $_ eq $name } firing() }, "$name: fires");
	next unless $end;
	$end->();
	wait_until(sub { !grep { $_ eq $name } firing() }, "$name: and stops");
}

# ----------------------------------------------------------------------------
# The dashboard
# ----------------------------------------------------------------------------

# Something of everything.
query($node, <<"SQL");
SELECT cmdsched.schedule('Slow', '{"gate": "dashboard"}', schedule_id => 'at-work');
SELECT cmdsched.schedule('Abroad', schedule_id => 'for-an-application');
SELECT cmdsched.schedule('Effect', execute_at => $later, schedule_id => 'later');
SELECT cmdsched.schedule('Fail', schedule_id => 'fails-again');
SQL
wait_until_running($node, 'at-work');
foreach my $panel (@panels)
{
	(my $expression = $panel) =~ s/\$__rate_interval/1m/g;
	$expression =~ s/"\$\w+"/".*"/g;
	wait_until(sub { @{ ask('query', query => $expression)->{result} } }, "there is something to see: $panel");
}
my $metrics = join '', scrape() =~ /^((?:# \w+ )?cmdsched_.*\n)/mg;
open_gate($node, 'dashboard');

foreach my $metric (metrics_in(@panels, @variables, map { $_->{query} } @rules))
{
	ok(scalar(@{ ask('series', 'match[]' => $metric) }), "$metric is measured");
}
is(join(' ', sort $metrics =~ /^# TYPE (\w+) /mg), join(' ', table('Metrics')), 'README.md has the metrics');
ok(IPC::Run::run([ 'promtool', 'check', 'metrics' ], '<', \$metrics, '>', \$output, '2>&1'), 'promtool is content with their names') or diag($output);

# ----------------------------------------------------------------------------
# The queries
# ----------------------------------------------------------------------------

query($node, <<"SQL");
SELECT count(cmdsched.schedule('Effect', execute_at => $later)) FROM generate_series(1, 5000);
SELECT count(cmdsched.schedule('Abroad', execute_at => $later)) FROM generate_series(1, 5000);
SELECT count(cmdsched.schedule('Abroad')) FROM generate_series(1, 5000);
ANALYZE cmdsched.scheduled_commands;
SQL

query($node, 'CREATE ROLE mallory');
foreach my $case ([ 'cmdsched_monitor', '1|1|t|t' ], [ 'mallory', '0|0|t|t' ])
{
	my ($role, $expected) = @$case;

	is(query($node, "SET ROLE $role; SELECT recurring, hooks, commands_estimate >= 15000, history_bytes > 0 FROM cmdsched.stat_database"), $expected, "what $role sees of the database");
}

# The most rows that any part of its plan has seen.
sub rows_read
{
	my ($sql) = @_;
	my $plan = query($node, "SET ROLE cmdsched_monitor; EXPLAIN (ANALYZE, TIMING OFF) $sql");
	my ($most) = sort { $b <=> $a } map { /rows=(\d+)(?:\.\d+)? loops=(\d+)/ ? $1 * $2 : () } $plan =~ /actual (.*?)\)/g;

	return $most;
}

my %queries = slurp_file('monitoring/queries.yaml') =~ /^(\w+):\n  query: \|\n(.*?)^  metrics:/msg;

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
foreach my $name (sort keys %queries)
{
	my ($status) = $standby->psql('postgres', "SET ROLE cmdsched_monitor; $queries{$name}");

	is($status, 0, "$name can be asked on a standby");
}
is(query($standby, "SET ROLE cmdsched_monitor; SELECT standby, scheduler_running FROM ($queries{cmdsched}) AS q"), '1|0', 'which says that it is one');
$standby->stop;

my $counts = delete $queries{cmdsched_commands};

cmp_ok(scalar(keys %queries), '>=', 8, 'there are queries');
cmp_ok(rows_read($queries{$_}), '<', 500, "$_ reads little where there are many commands") foreach sort keys %queries;
cmp_ok(rows_read($counts), '>=', 5000, 'but for what is counted');
$counts =~ s/< 256 \*/< 0 */ or die;
cmp_ok(rows_read($counts), '<', 500, 'which is not, where the table is too large');

$node->stop;
done_testing();
