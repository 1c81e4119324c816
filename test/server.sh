# test/server.sh
#
# What test/run, test/demo/run, test/bench/run and test/torture/run share: the
# packages they need, and throw-away servers.  Source it from bash, in the top folder:
#
#	set -euo pipefail
#	. test/server.sh
#	trap clean_up EXIT                     # ends every server, removes $scratch
#	start_server demo                      # or: start_server demo 'fsync = off'
#	psql -X -c 'SELECT cmdsched.start()'   # as superuser postgres
#	as_user psql -X -d shop -f - <demo.sql # the same, as the unprivileged user
#	stop_server demo                       # only where it must end before the rest
#
# install_missing [PACKAGE...]
#	As root on Debian, installs what the build and the tests need and is not
#	there, and the PACKAGEs.  Otherwise names what is missing and fails.
# build_and_install
#	Builds the checkout and installs it into the PostgreSQL of $PG_CONFIG.
#	"make demo", "make test" and "make bench" have done both when they call
#	their script.
# start_server [NAME [LINE...]]
#	A new server in $scratch/NAME (or in NAME, when it is a whole path that
#	the unprivileged user may create), with the LINEs at the end of its
#	postgresql.conf.  It preloads cmdsched and listens on a socket only.
#	Exports PGHOST, PGPORT, PGUSER and PGDATABASE, so that psql finds it, and
#	sets $server_log.
# stop_server [NAME]
# as_user COMMAND...
#	Runs it in $scratch as a user that is not root.  This user need not be
#	able to read the checkout: pipe files in, or copy them into $scratch.
# clean_up
#	Ends the last server that was started, and all servers below $scratch,
#	started by whomever.
#
# $POSTGRES, where it is set, is started in place of the program postgres.
#
# Also set: $pg_major, $pg_version, $pg_bindir (first in PATH) and $scratch.
# A server is chosen by PG_CONFIG; without it, pg_config in PATH or the newest
# in Debian's folders.

# None of the caller's own connection settings may reach a test.
for name in ${!PG*}; do
	[ "$name" = PG_CONFIG ] || unset "$name"
done
unset name MAKEFLAGS MFLAGS MAKEOVERRIDES
export LC_ALL=C.UTF-8

scratch=
unprivileged=()
server_log=
server_name=

die()
{
	echo "$*" >&2
	exit 1
}

# The pg_config to use: it need not be installed yet.  Nothing where there is
# neither an installed one nor a Debian package to get one from.
find_pg_config()
{
	if command -v "${PG_CONFIG:-pg_config}"; then
		return
	elif [ -n "${PG_CONFIG:-}" ]; then
		echo "$PG_CONFIG"
		return
	fi
	local found
	found=$(ls -v /usr/lib/postgresql/*/bin/pg_config 2>/dev/null | tail -n 1) || true
	[ -n "$found" ] || found=$(newest_packaged_pg_config)
	echo "$found"
}

newest_packaged_pg_config()
{
	command -v apt-cache >/dev/null || return 0
	apt-cache search --names-only '^postgresql-server-dev-[0-9]+$' |
		sed -nE 's|^postgresql-server-dev-([0-9]+) .*|\1|p' | sort -n | tail -n 1 |
		sed 's|.*|/usr/lib/postgresql/&/bin/pg_config|'
}

find_postgres()
{
	PG_CONFIG=$(find_pg_config)
	export PG_CONFIG
	if [ -x "$PG_CONFIG" ]; then
		pg_version=$("$PG_CONFIG" --version | sed 's/^PostgreSQL //; s/ .*//')
		pg_major=$(sed -E 's/^([0-9]+).*/\1/' <<<"$pg_version")
		pg_bindir=$("$PG_CONFIG" --bindir)
		PATH=$pg_bindir:$PATH
	else
		pg_version=
		pg_major=$(sed -nE 's|.*/postgresql/([0-9]+)/.*|\1|p' <<<"$PG_CONFIG")
		pg_bindir=${PG_CONFIG%/pg_config}
	fi
}

# Debian's names of what is not here.
missing_packages()
{
	local extensions=/usr/share/postgresql/$pg_major/extension package
	[ ! -x "$PG_CONFIG" ] || extensions=$("$PG_CONFIG" --sharedir)/extension

	command -v gcc >/dev/null || echo gcc
	command -v make >/dev/null || echo make
	[ -e /usr/include/stdio.h ] || echo libc6-dev
	command -v prove >/dev/null || echo perl
	perl -MIPC::Run -e 1 2>/dev/null || echo libipc-run-perl
	[ -x "$pg_bindir/postgres" ] || echo "postgresql-$pg_major"
	# Its makefile comes with the client already.
	[ -x "$PG_CONFIG" ] && [ -e "$("$PG_CONFIG" --includedir-server)/postgres.h" ] || echo "postgresql-server-dev-$pg_major"
	[ -e "$extensions/pgtap.control" ] || echo "postgresql-$pg_major-pgtap"
	[ -e "$extensions/pg_cron.control" ] || echo "postgresql-$pg_major-cron"
	/usr/bin/python3 -c 'import pytest' 2>/dev/null || echo python3-pytest
	/usr/bin/python3 -c 'import psycopg' 2>/dev/null || echo python3-psycopg
	# For clients/python.
	for package in asyncpg fastapi httpx mypy psycopg2 sqlalchemy uvicorn; do
		/usr/bin/python3 -c "import importlib.util as u; exit(not u.find_spec('$package'))" || echo "python3-$package"
	done

	command -v prometheus >/dev/null || echo prometheus
	command -v prometheus-postgres-exporter >/dev/null || echo prometheus-postgres-exporter

	# For clients/node.  Where Node is not Debian's, npm installs the rest.
	command -v node >/dev/null || echo nodejs
	if ! command -v node >/dev/null || [ -e /usr/share/nodejs/@types/node ]; then
		[ -e /usr/share/nodejs/pg ] || echo node-pg
		[ -e /usr/share/nodejs/typescript ] || echo node-typescript
	fi

	# For test/differential, which knows the versions of Debian 12 only.
	if [ "$pg_major" = 15 ]; then
		for package in croniter dateutil; do
			/usr/bin/python3 -c "import importlib.util as u; exit(not u.find_spec('$package'))" || echo "python3-$package"
		done
	fi

	for package; do
		dpkg -s "$package" 2>/dev/null | grep -q '^Status: .* installed$' || echo "$package"
	done
}

install_missing()
{
	if [ "$(id -u)" = 0 ] && [ -z "$PG_CONFIG" ] && command -v apt-get >/dev/null; then
		apt-get -qq update
		find_postgres
	fi
	[ -n "$pg_major" ] || die 'No PostgreSQL was found: set PG_CONFIG.'

	local packages
	mapfile -t packages < <(missing_packages "$@")
	[ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
	[ -e /usr/share/nodejs/@types/node ] || [ -e clients/node/node_modules ] || install_node_modules
}

install_packages()
{
	local packages=("$@")
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		die "These are missing, and only root can install them, on Debian: ${packages[*]}"
	fi
	echo "Installing ${packages[*]}"
	apt_install "${packages[@]}"
	find_postgres
}

# Should that fail, tap/411_node_client does, and nothing else.
install_node_modules()
{
	echo 'Installing what clients/node needs'
	npm install --prefix clients/node --ignore-scripts --silent </dev/null >&2 ||
		echo 'clients/node cannot be tested: npm could not install what it needs.' >&2
}

# A package of PostgreSQL makes and starts a cluster when it is new, one of
# Prometheus a service.  We want neither, but whoever installs the next version
# may: the settings go again.
apt_install()
{
	local clusters=/etc/postgresql-common/createcluster.d/cmdsched-test.conf
	local services=/usr/sbin/policy-rc.d log status=0
	log=$(mktemp)
	mkdir -p "${clusters%/*}"
	echo 'create_main_cluster = false' >"$clusters"
	if [ -e "$services" ]; then
		services=
	else
		printf '#!/bin/sh\ncase "$1" in prometheus*) exit 101 ;; esac\n' >"$services"
		chmod 755 "$services"
	fi
	{
		apt-get update &&
			DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" &&
			disable_services "$@"
	} </dev/null >"$log" 2>&1 || status=$?
	rm -f "$clusters" ${services:+"$services"}
	[ $status = 0 ] || tail -n 40 "$log" >&2
	rm -f "$log"
	return $status
}

# They would be started with the machine.
disable_services()
{
	local package
	for package; do
		[[ $package != prometheus* ]] || update-rc.d "$package" disable
	done
}

build_and_install()
{
	echo "Building for PostgreSQL $pg_version"
	make -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" all
	if [ -w "$("$PG_CONFIG" --pkglibdir)" ]; then
		make -s PG_CONFIG="$PG_CONFIG" install
	else
		is_installed || die "This build is not the installed one: run 'make install' as root first."
	fi
}

is_installed()
{
	local file
	cmp -s cmdsched.so "$("$PG_CONFIG" --pkglibdir)/cmdsched.so" || return
	for file in *.control sql/*.sql; do
		cmp -s "$file" "$("$PG_CONFIG" --sharedir)/extension/${file##*/}" || return
	done
}

# The unprivileged user: ourselves, unless we are root.
find_user()
{
	server_user=$(id -un)
	[ "$(id -u)" = 0 ] || return 0
	server_user=postgres
	id -u postgres >/dev/null 2>&1 && return
	server_user=cmdsched_test
	id -u cmdsched_test >/dev/null 2>&1 || useradd --system --no-create-home cmdsched_test
}

# Short, since the name of a socket has at most 107 bytes.
make_scratch()
{
	[ -z "$scratch" ] || return 0
	find_user
	scratch=$(mktemp -d /tmp/cmdsched.XXXXXX)
	chmod 755 "$scratch"
	chown "$server_user" "$scratch"

	unprivileged=(env --chdir="$scratch" HOME="$scratch" TMPDIR="$scratch")
	[ "$(id -u)" != 0 ] ||
		unprivileged=(setpriv --reuid "$server_user" --regid "$(id -g "$server_user")" --init-groups "${unprivileged[@]}")
}

as_user()
{
	make_scratch
	"${unprivileged[@]}" "$@"
}

# The folder that belongs to a server's name.
server_folder()
{
	case $1 in
		/*) echo "$1" ;;
		*) echo "$scratch/$1" ;;
	esac
}

start_server()
{
	make_scratch
	server_name=${1:-server}
	local folder
	folder=$(server_folder "$server_name")
	shift || true

	as_user mkdir -p "$folder"
	server_log=$folder/server.log
	as_user initdb -D "$folder/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$scratch/initdb.log" 2>&1 ||
		die "$(cat "$scratch/initdb.log")"
	server_settings "$folder" "$@" | as_user tee -a "$folder/data/postgresql.conf" >/dev/null
	as_user pg_ctl start -D "$folder/data" -l "$server_log" -w -t 60 ${POSTGRES:+-p "$POSTGRES"} </dev/null >/dev/null ||
		die "The server did not start: $(tail -n 20 "$server_log")"
	export PGHOST=$folder PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
}

server_settings()
{
	cat <<-END
		listen_addresses = ''
		port = 5432
		unix_socket_directories = '$1'
		shared_preload_libraries = 'cmdsched'
		max_worker_processes = 32
		max_prepared_transactions = 10
		log_line_prefix = '%m [%p] %b '
	END
	shift
	[ $# = 0 ] || printf '%s\n' "$@"
}

stop_server()
{
	stop_data_folder "$(server_folder "${1:-$server_name}")/data"
}

# Its postmaster.pid may be left from a crash, and the number be another
# process by now: only a process that works in the folder is ended.
stop_data_folder()
{
	local pid
	pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null) || return 0
	[ "$(readlink "/proc/$pid/cwd")" = "$1" ] || return 0
	as_user pg_ctl stop -D "$1" -m fast -t 30 >/dev/null 2>&1 ||
		as_user pg_ctl stop -D "$1" -m immediate -t 30 >/dev/null 2>&1 ||
		[ ! -e "$1/postmaster.pid" ]
}

# Whatever was started there, by whomever.
stop_servers_below()
{
	local pid_file
	while read -r pid_file; do
		stop_data_folder "${pid_file%/*}" || true
	done < <(find "$1" -name postmaster.pid)
}

# Keeps the exit status, so that it can be the EXIT trap.
clean_up()
{
	local status=$?
	trap '' INT TERM HUP
	if [ -n "$server_name" ]; then
		stop_server || true
	fi
	if [ -n "$scratch" ]; then
		stop_servers_below "$scratch"
		rm -rf "$scratch"
	fi
	exit $status
}

# Bash runs the EXIT trap of a script that is interrupted only if it exits.
trap 'exit 130' INT HUP
trap 'exit 143' TERM

find_postgres
