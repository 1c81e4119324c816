# rules.pl [--safe-path] SCRIPT...
#
# What an installation script must not do, since others may have planted
# objects where it runs.  The rules, and their names, are those of pgspot, which
# needs a parser of SQL; this reads tokens, and asks for more in one place: names
# have a schema whatever the search path is.  Prints SCRIPT:LINE: RULE: WHAT
# and fails.
#
# --safe-path: the scripts run with a search path that is pg_catalog and pg_temp,
# as CREATE EXTENSION sets it where the control file says schema = pg_catalog.

use strict;
use warnings;

# With a parenthesis after them they are no calls of functions that somebody
# could have planted.
my %no_call = map { $_ => 1 } qw(
  all and any array as atomic between by case cast check coalesce collate conflict cube default delete distinct
  else elsif end except exclude execute exists extract filter for foreign from grouping greatest group having
  if ilike in index insert int integer intersect interval into is join key lateral least like limit materialized
  not null nullif numeric offset on only or order over partition perform position primary references return
  returning returns rollup row select set sets similar some table then time timestamp timestamptz to treat trim
  union unique update using values varchar varying when where while window with within
  bit bpchar char character decimal overlay raise);

# Kinds of objects that live in a schema.
my %in_schema = map { $_ => 1 } qw(
  aggregate collation domain function materialized operator procedure routine sequence statistics table type view);

my $usually_safe = 0;
my $path_is_safe;
my %created;    # schemas and functions made here
my $complaints = 0;
my $file;

# ----------------------------------------------------------------------------
# Tokens: [kind, text, line].  Kinds are word, quoted, string, number, operator
# and, for one character, that character.
# ----------------------------------------------------------------------------

sub tokens_of
{
	my ($text, $line) = @_;
	my @tokens;
	my $add = sub {
		push @tokens, [ $_[0], $_[1], $line ];
	};

	for ($text)
	{
		while (pos($_) // 0 < length)
		{
			if (/\G\n/gc) { $line++; }
			elsif (/\G[^\S\n]+/gc || /\G--[^\n]*/gc) { }
			elsif (/\G\\[^\n]*/gc) { }
			elsif (m{\G(/\*(?:[^*/]+|\*(?!/)|/(?!\*)|(?1))*\*/)}gc) { $line += $1 =~ tr/\n//; }
			elsif (/\G(?:[eE]'((?:[^'\\]|''|\\.)*)'|(?:[nNbBxX]|[uU]&)?'((?:[^']|'')*)')/gcs)
			{
				my $string = $1 // $2;
				$add->('string', $string);
				$line += $string =~ tr/\n//;
			}
			elsif (/\G\$(\w*)\$(.*?)\$\1\$/gcs)
			{
				my $string = $2;
				$add->('string', $string);
				$line += $string =~ tr/\n//;
			}
			elsif (/\G"((?:[^"]|"")*)"/gc) { $add->('quoted', $1); }
			elsif (/\G([a-zA-Z_\x80-\xff][\w\$\x80-\xff]*)/gc) { $add->('word', lc $1); }
			elsif (/\G\$?[0-9][\w.]*/gc) { $add->('number', ''); }
			elsif (/\G(::|:=|=>|\.\.)/gc) { $add->($1, $1); }
			elsif (m{\G((?:(?!--|/\*)[-+*/<>=~!@#%^&|`?])+)}gc) { $add->('operator', $1); }
			elsif (/\G(.)/gc) { $add->($1, $1); }
			else { last; }
		}
	}
	return @tokens;
}

# Split at semicolons, but not in a body that begins with BEGIN ATOMIC.
sub statements_of
{
	my @tokens = @_;
	my @statements = ([]);
	my $depth = 0;

	foreach my $i (0 .. $#tokens)
	{
		my ($kind, $text) = @{ $tokens[$i] };

		if ($kind eq ';' && $depth == 0)
		{
			push @statements, [];
			next;
		}
		$depth++
		  if word_at(\@tokens, $i, 'begin') && word_at(\@tokens, $i + 1, 'atomic')
		  || $depth > 0 && word_at(\@tokens, $i, 'case');
		$depth-- if $depth > 0 && word_at(\@tokens, $i, 'end');
		push @{ $statements[-1] }, $tokens[$i];
	}
	return grep { @$_ } @statements;
}

sub kind_at { my ($t, $i) = @_; return $i >= 0 && $i < @$t ? $t->[$i][0] : ''; }
sub text_at { my ($t, $i) = @_; return $i >= 0 && $i < @$t ? $t->[$i][1] : ''; }

# Is there one of these keywords?
sub word_at
{
	my ($t, $i, @words) = @_;

	return kind_at($t, $i) eq 'word' && scalar grep { text_at($t, $i) eq $_ } @words;
}

sub is_name { return kind_at(@_) =~ /^(word|quoted)$/; }

# The parts of a name that begins at this token, and where it ends.
sub name_at
{
	my ($t, $i) = @_;
	my @parts = (text_at($t, $i));

	while (kind_at($t, $i + 1) eq '.')
	{
		$i += 2;
		push @parts, text_at($t, $i);
	}
	return ($i + 1, @parts);
}

# Where the parenthesis at this token ends.
sub closing
{
	my ($t, $i) = @_;
	my $depth = 0;

	for (; $i < @$t; $i++)
	{
		$depth++ if kind_at($t, $i) eq '(';
		return $i if kind_at($t, $i) eq ')' && --$depth == 0;
	}
	return $#$t;
}

sub complain
{
	my ($token, $rule, $what) = @_;

	print "$file:$token->[2]: $rule: $what\n";
	$complaints++;
	return;
}

# ----------------------------------------------------------------------------
# Expressions and queries
# ----------------------------------------------------------------------------

sub check_code
{
	my ($t, $path_is_safe, $names_are_safe) = @_;
	my %cte;
	my @stack;    # for each open parenthesis: what is before it, whether in FROM
	my $from = 0;
	my $set = 0;

	foreach my $i (1 .. $#$t)
	{
		my $opens = $i + 1 + (word_at($t, $i + 1, 'materialized') ? 1 : 0);
		$cte{ text_at($t, $i - 1) } = 1
		  if word_at($t, $i, 'as') && kind_at($t, $opens) eq '(' && (word_at($t, $i - 2, 'with', 'recursive') || kind_at($t, $i - 2) eq ',');
	}
	for (my $i = 0; $i < @$t; $i++)
	{
		my ($kind, $text) = @{ $t->[$i] };
		my $next = kind_at($t, $i + 1);
		my $before = kind_at($t, $i - 1);

		if ($kind eq '(')
		{
			# Storage parameters.
			if (word_at($t, $i - 1, 'with', 'set') && is_name($t, $i + 1) && text_at($t, $i + 1) ne 'select')
			{
				$i = closing($t, $i);
				next;
			}
			push @stack, [ text_at($t, $i - 1), $from, $set ];
			$from = $set = 0;
		}
		elsif ($kind eq ')')
		{
			my $outer = pop @stack;
			($from, $set) = @$outer[ 1, 2 ] if $outer;
		}
		elsif ($kind eq 'operator')
		{
			next if !$path_is_safe && $text eq '=' && $set && (word_at($t, $i - 2, 'set') || kind_at($t, $i - 2) eq ',');
			next if $text eq '*' && ($before =~ /^[,(.]$/ || word_at($t, $i - 1, 'select', 'all', 'distinct', 'returning'));
			# OPERATOR(pg_catalog.=)
			next if $before eq '.';
			complain($t->[$i], 'PS001', "operator $text") unless $path_is_safe;
		}
		elsif ($kind eq '::')
		{
			complain($t->[$i], 'PS017', 'type ' . text_at($t, $i + 1)) unless $path_is_safe || kind_at($t, $i + 2) eq '.';
		}
		elsif ($kind eq ',' && $from)
		{
			check_relation($t, $i + 1, \%cte) unless $names_are_safe;
		}
		next unless $kind eq 'word' && $before ne '.' && $next ne '.';

		$set = 1 if $text eq 'set';
		$from = $set = 0 if $text =~ /^(where|group|having|order|limit|offset|union|intersect|except|returning|select|window|loop|then|for)$/;
		if ($text eq 'from' && !word_at($t, $i - 1, 'distinct') && !(@stack && $stack[-1][0] =~ /^(extract|trim|overlay|substring)$/))
		{
			$from = 1;
			check_relation($t, $i + 1, \%cte) unless $names_are_safe;
		}
		elsif ($text eq 'join' || $text eq 'into' && word_at($t, $i - 1, 'insert', 'merge') || $text eq 'references'
			|| $text eq 'update' && !word_at($t, $i - 1, qw(for on do or key no after before of)) && !word_at($t, $i + 1, qw(set or of on)) && is_name($t, $i + 1))
		{
			check_relation($t, $i + 1, \%cte) unless $names_are_safe;
		}
		elsif ($text eq 'case' && !word_at($t, $i + 1, 'when') && !word_at($t, $i - 1, 'end'))
		{
			complain($t->[$i], 'PS009', 'CASE with a value: it compares by an operator that cannot be qualified') unless $path_is_safe;
		}
		elsif ($text =~ /^(like|ilike|between|similar)$/ || $text eq 'in' && $next eq '(')
		{
			complain($t->[$i], 'PS001', "operator of $text") unless $path_is_safe;
		}
		elsif ($next eq '(' && !$no_call{$text} && !$cte{$text} && $text ne 'operator'
			&& !word_at($t, $i - 1, qw(as into table on references with recursive only update join from))
			&& !($text eq 'list' && word_at($t, $i - 1, 'by') && word_at($t, $i - 2, 'partition') && kind_at($t, $i - 3) eq ')'))
		{
			complain($t->[$i], 'PS016', "function $text") unless $names_are_safe;
		}
		elsif ($next eq '(' && word_at($t, $i - 1, qw(from join)))
		{
			complain($t->[$i], 'PS016', "function $text") unless $names_are_safe || $no_call{$text};
		}
	}
	return;
}

# A table in FROM and the like.
sub check_relation
{
	my ($t, $i, $cte) = @_;

	$i++ while word_at($t, $i, qw(only lateral));
	return unless is_name($t, $i);
	return if word_at($t, $i, qw(select values rows));
	return if kind_at($t, $i + 1) =~ /^[.(]$/ && !word_at($t, $i - 1, 'into', 'references');
	return if kind_at($t, $i + 1) eq '.' || $cte->{ text_at($t, $i) };
	complain($t->[$i], 'PS017', 'table ' . text_at($t, $i));
	return;
}

# ----------------------------------------------------------------------------
# Statements
# ----------------------------------------------------------------------------

# pg_catalog, what was made here, and pg_temp at the end.
sub is_safe_path
{
	my ($t, $i) = @_;
	my @schemas;

	$i++ if word_at($t, $i, 'to') || text_at($t, $i) eq '=';
	for (; is_name($t, $i) || kind_at($t, $i) eq 'string'; $i += 2)
	{
		push @schemas, text_at($t, $i);
		last if kind_at($t, $i + 1) ne ',';
	}
	shift @schemas if @schemas && $schemas[0] eq 'pg_catalog';
	shift @schemas while @schemas && $created{"schema $schemas[0]"};
	return "@schemas" eq 'pg_temp';
}

sub find_word
{
	my ($t, $from, @words) = @_;

	foreach my $i ($from .. $#$t)
	{
		return $i if word_at($t, $i, @words);
	}
	return;
}

# A statement's names of objects, from this token on.
sub check_names
{
	my ($t, $i, $rule, $kind) = @_;

	while (is_name($t, $i))
	{
		my $first = $i;
		($i, my @parts) = name_at($t, $i);
		complain($t->[$first], $rule, "$kind $parts[0]") if @parts < ($kind eq 'column' ? 3 : 2);
		$i = closing($t, $i) + 1 if kind_at($t, $i) eq '(';
		last if kind_at($t, $i) ne ',';
		$i++;
	}
	return;
}

sub check_create_function
{
	my ($t, $name_at, $replace) = @_;
	my ($arguments, @name) = name_at($t, $name_at);
	my $name = join '.', @name;
	my $end = closing($t, $arguments);
	my $language = find_word($t, $end, 'language');
	my $definer = find_word($t, $end, 'definer');
	my $path = find_word($t, $end, 'search_path');
	my $as = find_word($t, $end, 'as');
	my $atomic = find_word($t, $end, 'atomic');
	my $is_code = defined $atomic || defined $language && word_at($t, $language + 1, 'sql', 'plpgsql');
	my $is_pinned = defined $path && word_at($t, $path - 1, 'set') && is_safe_path($t, $path + 1);

	complain($t->[$name_at], 'PS017', "function $name") if @name < 2;
	complain($t->[0], 'PS002', "function $name") if $replace && !$created{"schema $name[0]"} && !$created{"function $name"};
	$created{"function $name"} = 1 unless $replace;
	if (defined $definer && !word_at($t, $language + 1, 'c'))
	{
		complain($t->[$definer], 'PS003', "function $name") unless defined $path;
		complain($t->[$path], 'PS004', "function $name") if defined $path && !$is_pinned;
	}
	elsif ($is_code && !$is_pinned)
	{
		complain($t->[0], 'PS005', "function $name");
	}
	check_code([ @$t[ $arguments .. $end ] ], $path_is_safe, 0);
	# It is parsed now, whatever the path is when it is called.
	if (defined $atomic)
	{
		check_code([ @$t[ $atomic + 1 .. $#$t ] ], $path_is_safe, 0);
	}
	elsif ($is_code && defined $as && kind_at($t, $as + 1) eq 'string')
	{
		check_code([ tokens_of(@{ $t->[ $as + 1 ] }[ 1, 2 ]) ], $is_pinned, $is_pinned);
	}
	return;
}

my %rule_of_existing = (schema => 'PS010', sequence => 'PS011', table => 'PS012', server => 'PS013', index => 'PS014');
my %rule_of_replacing = (transform => 'PS006', view => 'PS015');

sub check_create
{
	my ($t) = @_;
	my $i = 1;
	my $replace = word_at($t, 1, 'or') && word_at($t, 2, 'replace');
	my $exists;

	$i = 3 if $replace;
	$i++ while word_at($t, $i, qw(unique materialized global local temporary temp unlogged recursive constraint trusted procedural));
	my $kind = text_at($t, $i++);
	return check_create_function($t, $i, $replace) if $kind =~ /^(function|procedure)$/;

	$i++ if $kind eq 'foreign' && word_at($t, $i, 'table');
	$i++ if $kind eq 'index' && word_at($t, $i, 'concurrently');
	if (word_at($t, $i, 'if') && word_at($t, $i + 2, 'exists'))
	{
		$exists = 1;
		$i += 3;
	}
	my ($after, @name) = name_at($t, $i);
	my $on = find_word($t, $after, 'on');
	my $target = $i;
	$target = $on + 1 if defined $on && $kind =~ /^(index|trigger|policy|rule)$/;
	$target++ if word_at($t, $target, 'only');
	my (undef, @target) = name_at($t, $target);
	my $is_ours = $created{ 'schema ' . ($kind eq 'schema' ? $name[0] : $target[0]) };
	my $is_copy = $kind eq 'table' && defined find_word($t, $after, 'as') && defined find_word($t, $after, 'select', 'execute');

	complain($t->[0], $is_copy ? 'PS007' : $rule_of_existing{$kind} // 'PS007', "$kind $name[0]")
	  if $exists && ($kind eq 'server' || !$is_ours);
	complain($t->[0], $rule_of_replacing{$kind} // 'PS007', "$kind $name[0]")
	  if $replace && ($kind eq 'transform' || !$is_ours);
	complain($t->[$target], 'PS017', "$kind $target[0]")
	  if @target < 2 && ($in_schema{$kind} || $kind =~ /^(index|trigger|policy|rule)$/) && !($kind eq 'operator' && kind_at($t, $i + 1) eq '.');
	$created{"schema $name[0]"} = 1 if $kind eq 'schema';
	# Definitions by a list of parameters have no expressions.
	return if $kind =~ /^(aggregate|operator|type|collation|text|transform|cast|server|extension|language|event|role|user)$/;
	check_code([ @$t[ $after .. $#$t ] ], $path_is_safe, 0);
	return;
}

sub check_statement
{
	my ($t) = @_;

	if (word_at($t, 0, 'create'))
	{
		check_create($t);
	}
	elsif (word_at($t, 0, 'set', 'reset') && defined(my $path = find_word($t, 1, 'search_path')))
	{
		$path_is_safe = word_at($t, 0, 'set') && is_safe_path($t, $path + 1);
	}
	elsif (word_at($t, 0, 'do'))
	{
		check_code([ tokens_of(@{$_}[ 1, 2 ]) ], $path_is_safe, 0) foreach grep { $_->[0] eq 'string' } @$t;
	}
	elsif (word_at($t, 0, 'alter', 'drop'))
	{
		my $i = word_at($t, 1, 'materialized', 'foreign') ? 2 : 1;
		my $kind = text_at($t, $i++);

		$i += 2 if word_at($t, $i, 'if');
		check_names($t, $i, $kind eq 'sequence' ? 'PS008' : 'PS017', $kind) if $in_schema{$kind} && !word_at($t, $i, 'all');
		check_code([ @$t[ $i .. $#$t ] ], $path_is_safe, 0) if word_at($t, 0, 'alter') && $kind =~ /^(table|domain)$/;
	}
	elsif (word_at($t, 0, 'comment', 'grant', 'revoke', 'security'))
	{
		my $on = find_word($t, 1, 'on') // return;
		my $kind = text_at($t, $on + 1);
		my $has_table = $kind =~ /^(policy|trigger|rule|constraint)$/;

		$on = find_word($t, $on + 2, 'on') // return if $has_table;
		if ($has_table || !is_name($t, $on + 2) || word_at($t, $on + 2, 'to', 'from'))
		{
			check_names($t, $on + 1, 'PS017', 'table');
		}
		elsif ($in_schema{$kind} || $kind =~ /^(column|index)$/)
		{
			check_names($t, $on + 2, 'PS017', $kind);
		}
	}
	elsif (!word_at($t, 0, qw(begin commit end rollback savepoint set reset show)))
	{
		check_code($t, $path_is_safe, 0);
	}
	return;
}

# A script that installs comes before those that update.
foreach my $argument (sort { length $a <=> length $b || $a cmp $b } @ARGV)
{
	if ($argument eq '--safe-path')
	{
		$usually_safe = 1;
		next;
	}
	$file = $argument;
	$path_is_safe = $usually_safe;
	open my $script, '<', $file or die "$file: $!\n";
	local $/;
	check_statement($_) foreach statements_of(tokens_of(scalar <$script>, 1));
	close $script;
}
exit($complaints > 0);
