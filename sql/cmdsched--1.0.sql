/* sql/cmdsched--1.0.sql */
\echo Use "CREATE EXTENSION cmdsched" to load this file. \quit

CREATE SCHEMA cmdsched;
COMMENT ON SCHEMA cmdsched IS 'Commands that run at their time. Grant USAGE on it to the roles that may schedule.';

-- ---------------------------------------------------------------------------
-- Tables.  The C code knows the columns by their numbers: see
-- src/command/command.h before changing their order.
-- ---------------------------------------------------------------------------

CREATE TABLE cmdsched.scheduled_commands (
    schedule_id text COLLATE "C" NOT NULL,
    command_type text COLLATE "C" NOT NULL,
    command_module text COLLATE "C" NOT NULL DEFAULT '',
    command_data jsonb NOT NULL,
    execute_at timestamptz NOT NULL,
    status text COLLATE "C" NOT NULL DEFAULT 'pending',
    created_at timestamptz NOT NULL,
    metadata jsonb,
    scheduled_by oid NOT NULL,
    attempts smallint NOT NULL DEFAULT 0,
    last_error jsonb,
    scheduled_by_name name NOT NULL,
    due_at timestamptz NOT NULL,
    conflicts smallint NOT NULL DEFAULT 0,
    depth smallint NOT NULL DEFAULT 0,
    claimable_at timestamptz,
    claim_token uuid,
    recurring text COLLATE "C",
    occurrence_at timestamptz,
    CONSTRAINT scheduled_commands_pkey PRIMARY KEY (schedule_id, scheduled_by),
    CONSTRAINT scheduled_commands_status_check CHECK (status IN ('pending', 'held', 'failed'))
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 50000,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 100000,
    vacuum_truncate = off
);
CREATE INDEX scheduled_commands_due ON cmdsched.scheduled_commands (scheduled_by, due_at, schedule_id);
CREATE INDEX scheduled_commands_parked ON cmdsched.scheduled_commands (command_type, command_module, scheduled_by, claimable_at, schedule_id) WHERE due_at = 'infinity';

COMMENT ON TABLE cmdsched.scheduled_commands IS 'What is still to be done or needs attention; a command that has run is gone. Each role sees what it, or a role whose privileges it has, scheduled. Writing goes through the functions of this schema.';
COMMENT ON COLUMN cmdsched.scheduled_commands.schedule_id IS 'The caller''s own, or a generated ULID; unique together with scheduled_by';
COMMENT ON COLUMN cmdsched.scheduled_commands.command_type IS 'Which handler is to be called';
COMMENT ON COLUMN cmdsched.scheduled_commands.command_module IS 'Name space of the command type';
COMMENT ON COLUMN cmdsched.scheduled_commands.command_data IS 'What the handler is given';
COMMENT ON COLUMN cmdsched.scheduled_commands.execute_at IS 'When the next attempt is due; a retry moves it, a claim moves it to the end of the lease';
COMMENT ON COLUMN cmdsched.scheduled_commands.status IS 'pending: will run at execute_at; held: waits until somebody acts, see last_error; failed: all attempts used up';
COMMENT ON COLUMN cmdsched.scheduled_commands.created_at IS 'When schedule() was called';
COMMENT ON COLUMN cmdsched.scheduled_commands.metadata IS 'Context for people and tools; correlation_id and causation_id are inherited by what a handler schedules';
COMMENT ON COLUMN cmdsched.scheduled_commands.scheduled_by IS 'The role that scheduled it and as which it runs';
COMMENT ON COLUMN cmdsched.scheduled_commands.attempts IS 'Failed attempts so far; while it is claimed, with the one that is being made';
COMMENT ON COLUMN cmdsched.scheduled_commands.last_error IS 'Why the last attempt failed or the command is held: sqlstate, message, detail, context, at';
COMMENT ON COLUMN cmdsched.scheduled_commands.scheduled_by_name IS 'Name of scheduled_by at that time, since oids do not survive a dump';
COMMENT ON COLUMN cmdsched.scheduled_commands.due_at IS 'Where the workers look: execute_at, but never before the row was written; infinity while no worker is to run it';
COMMENT ON COLUMN cmdsched.scheduled_commands.conflicts IS 'Attempts since the last counted one that ended in a serialization failure or deadlock';
COMMENT ON COLUMN cmdsched.scheduled_commands.depth IS 'How many commands led to this one, each scheduled by the one before to run within a second';
COMMENT ON COLUMN cmdsched.scheduled_commands.claimable_at IS 'Where claim_due_commands() looks: when an application may have it next; NULL where it is not for one';
COMMENT ON COLUMN cmdsched.scheduled_commands.claim_token IS 'Of the claim that somebody has, until execute_at; NULL where nobody has it';
COMMENT ON COLUMN cmdsched.scheduled_commands.recurring IS 'The recurring schedule of which it is an occurrence, see cmdsched.recurring_schedules; NULL: none';
COMMENT ON COLUMN cmdsched.scheduled_commands.occurrence_at IS 'The instant of that schedule for which it runs, whatever moved execute_at';

CREATE TABLE cmdsched.handlers (
    command_type text COLLATE "C" NOT NULL,
    command_module text COLLATE "C" NOT NULL DEFAULT '',
    handler text COLLATE "C",
    owner oid NOT NULL,
    max_attempts integer NOT NULL DEFAULT 10,
    backoff interval NOT NULL DEFAULT '1 second',
    max_backoff interval NOT NULL DEFAULT '1 hour',
    timeout interval,
    history text COLLATE "C" NOT NULL DEFAULT 'failures',
    external boolean NOT NULL DEFAULT false,
    paused boolean NOT NULL DEFAULT false,
    function_owner text COLLATE "C",
    CONSTRAINT handlers_pkey PRIMARY KEY (command_type, command_module),
    CONSTRAINT handlers_history_check CHECK (history IN ('none', 'failures', 'all')),
    CONSTRAINT handlers_external_check CHECK (external = (handler IS NULL))
);
COMMENT ON TABLE cmdsched.handlers IS 'Which function is called for a command type, and how often it is tried.';
COMMENT ON COLUMN cmdsched.handlers.command_type IS 'The command type it handles';
COMMENT ON COLUMN cmdsched.handlers.command_module IS 'Name space of the command type';
COMMENT ON COLUMN cmdsched.handlers.handler IS 'Signature of the function or procedure; NULL for an external handler';
COMMENT ON COLUMN cmdsched.handlers.owner IS 'The role that registered it';
COMMENT ON COLUMN cmdsched.handlers.max_attempts IS 'After so many failed attempts a command is failed';
COMMENT ON COLUMN cmdsched.handlers.backoff IS 'Wait after the first failed attempt; doubled after each further one';
COMMENT ON COLUMN cmdsched.handlers.max_backoff IS 'Longest wait between two attempts';
COMMENT ON COLUMN cmdsched.handlers.timeout IS 'Longest time one attempt may run; NULL: no limit';
COMMENT ON COLUMN cmdsched.handlers.history IS 'What the command history keeps of this type: none, failures or all';
COMMENT ON COLUMN cmdsched.handlers.external IS 'Commands of this type are for an application outside the database; no worker runs them';
COMMENT ON COLUMN cmdsched.handlers.function_owner IS 'Who owned the function when it was registered; that of another owner, unless a superuser, is not called';
COMMENT ON COLUMN cmdsched.handlers.paused IS 'Commands of this type wait until it is registered again, not paused';

-- See src/worker/occurrence.c.
CREATE TABLE cmdsched.recurring (
    name text COLLATE "C" NOT NULL,
    scheduled_by oid NOT NULL,
    scheduled_by_name name NOT NULL,
    cron text COLLATE "C",
    every interval,
    timezone text COLLATE "C" NOT NULL,
    command_type text COLLATE "C" NOT NULL,
    command_module text COLLATE "C" NOT NULL,
    command_data jsonb NOT NULL,
    metadata jsonb,
    dst_gap text COLLATE "C" NOT NULL,
    dst_overlap text COLLATE "C" NOT NULL,
    catch_up text COLLATE "C" NOT NULL,
    catch_up_limit integer NOT NULL,
    overlap text COLLATE "C" NOT NULL,
    spread interval NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    max_runs bigint,
    created_at timestamptz NOT NULL,
    status text COLLATE "C" NOT NULL,
    reason text COLLATE "C",
    next_schedule_id text COLLATE "C",
    next_at timestamptz,
    runs bigint NOT NULL,
    last_run_at timestamptz,
    last_outcome text COLLATE "C",
    skipped bigint NOT NULL,
    last_skipped_at timestamptz,
    calendar text COLLATE "C",
    CONSTRAINT recurring_pkey PRIMARY KEY (name, scheduled_by),
    CONSTRAINT recurring_cron_or_every_check CHECK (cron IS NOT NULL OR every IS NOT NULL),
    CONSTRAINT recurring_dst_gap_check CHECK (dst_gap IN ('shift', 'skip')),
    CONSTRAINT recurring_dst_overlap_check CHECK (dst_overlap IN ('first', 'last', 'both')),
    CONSTRAINT recurring_catch_up_check CHECK (catch_up IN ('none', 'last', 'all')),
    CONSTRAINT recurring_overlap_check CHECK (overlap IN ('skip', 'queue', 'allow')),
    CONSTRAINT recurring_status_check CHECK (status IN ('active', 'paused', 'held', 'finished'))
) WITH (fillfactor = 70);
COMMENT ON TABLE cmdsched.recurring IS 'What runs again and again. Its next occurrence is in cmdsched.scheduled_commands; cmdsched.recurring_schedules shows both.';
COMMENT ON COLUMN cmdsched.recurring.name IS 'The caller''s own, unique together with scheduled_by';
COMMENT ON COLUMN cmdsched.recurring.scheduled_by IS 'The role that scheduled it and as which it runs';
COMMENT ON COLUMN cmdsched.recurring.scheduled_by_name IS 'Name of scheduled_by at that time, since oids do not survive a dump';
COMMENT ON COLUMN cmdsched.recurring.cron IS 'When it runs, as schedule_cron() was given it; NULL: see every';
COMMENT ON COLUMN cmdsched.recurring.every IS 'The time from one occurrence to the next, also where cron is an interval, as in 30 seconds; NULL: cron is a cron expression';
COMMENT ON COLUMN cmdsched.recurring.timezone IS 'The time zone of both';
COMMENT ON COLUMN cmdsched.recurring.command_type IS 'Which handler is to be called';
COMMENT ON COLUMN cmdsched.recurring.command_module IS 'Name space of the command type';
COMMENT ON COLUMN cmdsched.recurring.command_data IS 'What the handler is given';
COMMENT ON COLUMN cmdsched.recurring.metadata IS 'Metadata of every occurrence';
COMMENT ON COLUMN cmdsched.recurring.dst_gap IS 'An occurrence in the hour that daylight saving leaves out: shift runs it after, skip does not';
COMMENT ON COLUMN cmdsched.recurring.dst_overlap IS 'An occurrence in the hour that comes twice runs the first, the last or both times';
COMMENT ON COLUMN cmdsched.recurring.catch_up IS 'Of the occurrences that nobody could run in time: none, the last or all are run';
COMMENT ON COLUMN cmdsched.recurring.catch_up_limit IS 'At most so many late occurrences are kept, the latest';
COMMENT ON COLUMN cmdsched.recurring.overlap IS 'An occurrence that comes due before the one before it has ended: skip drops it, queue runs it afterwards, allow runs it beside';
COMMENT ON COLUMN cmdsched.recurring.spread IS 'Each runs up to so much later, always the same for one schedule';
COMMENT ON COLUMN cmdsched.recurring.starts_at IS 'No occurrence is before; every counts from here, or else from created_at';
COMMENT ON COLUMN cmdsched.recurring.ends_at IS 'No occurrence is after';
COMMENT ON COLUMN cmdsched.recurring.max_runs IS 'So many occurrences run; NULL: no limit';
COMMENT ON COLUMN cmdsched.recurring.created_at IS 'When the name was first scheduled';
COMMENT ON COLUMN cmdsched.recurring.status IS 'active; paused, see cmdsched.pause_recurring(); held: the next occurrence cannot be found, see reason; finished: there is none';
COMMENT ON COLUMN cmdsched.recurring.reason IS 'Why it is held';
COMMENT ON COLUMN cmdsched.recurring.next_schedule_id IS 'schedule_id of the occurrence that the next one follows: it waits or runs';
COMMENT ON COLUMN cmdsched.recurring.next_at IS 'occurrence_at of that one';
COMMENT ON COLUMN cmdsched.recurring.runs IS 'Occurrences that have run, failed ones too';
COMMENT ON COLUMN cmdsched.recurring.last_run_at IS 'When the last of them began';
COMMENT ON COLUMN cmdsched.recurring.last_outcome IS 'How it ended: succeeded or failed; started where overlap is allow';
COMMENT ON COLUMN cmdsched.recurring.skipped IS 'Occurrences that were dropped: missed, overlapping, or cancelled';
COMMENT ON COLUMN cmdsched.recurring.last_skipped_at IS 'When that last happened';
COMMENT ON COLUMN cmdsched.recurring.calendar IS 'Each runs when this calendar is open, or opens next; NULL: always open';

-- Not in dumps: see src/command/home.c.
CREATE TABLE cmdsched.home (
    database oid NOT NULL,
    since timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE cmdsched.home IS 'The databases in which the commands may run. In a copy, made by pg_restore or from a template, they wait until cmdsched.adopt() adds it.';
COMMENT ON COLUMN cmdsched.home.database IS 'Oid of a database';
COMMENT ON COLUMN cmdsched.home.since IS 'When its first command was scheduled, or cmdsched.adopt() called';

SELECT pg_catalog.pg_extension_config_dump('cmdsched.scheduled_commands', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.handlers', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.recurring', '');

ALTER TABLE cmdsched.scheduled_commands ENABLE ROW LEVEL SECURITY;
CREATE POLICY scheduled_by_me ON cmdsched.scheduled_commands FOR SELECT TO PUBLIC
    USING (pg_catalog.pg_has_role(scheduled_by, 'USAGE'));
-- All may read these.  That nobody may write them holds for pg_write_all_data, too.
ALTER TABLE cmdsched.handlers ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_only ON cmdsched.handlers FOR SELECT TO PUBLIC USING (true);
COMMENT ON POLICY read_only ON cmdsched.handlers IS 'Who could write here could have functions called as any role';
ALTER TABLE cmdsched.home ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_only ON cmdsched.home FOR SELECT TO PUBLIC USING (true);
COMMENT ON POLICY read_only ON cmdsched.home IS 'Who could write here could let a copy run';

COMMENT ON POLICY scheduled_by_me ON cmdsched.scheduled_commands IS 'Commands that the reader, or a role whose privileges the reader has, scheduled';

REVOKE ALL ON TABLE cmdsched.scheduled_commands, cmdsched.handlers, cmdsched.home FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.scheduled_commands, cmdsched.handlers, cmdsched.home TO PUBLIC;

-- ---------------------------------------------------------------------------
-- The history: a ring of tables, so that what is old goes by truncating one.
-- See src/command/history_store.c.
-- ---------------------------------------------------------------------------

CREATE TABLE cmdsched.command_history (
    schedule_id text COLLATE "C" NOT NULL,
    command_type text COLLATE "C" NOT NULL,
    command_module text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    attempt smallint,
    scheduled_for timestamptz,
    started_at timestamptz,
    finished_at timestamptz NOT NULL,
    error jsonb,
    result jsonb,
    correlation_id text COLLATE "C",
    scheduled_by oid NOT NULL,
    scheduled_by_name name NOT NULL,
    slot smallint NOT NULL,
    CONSTRAINT command_history_outcome_check CHECK (outcome IN ('succeeded', 'attempt_failed', 'failed', 'cancelled', 'snoozed', 'abandoned', 'held'))
) PARTITION BY LIST (slot);
CREATE INDEX command_history_schedule_id ON cmdsched.command_history (schedule_id);
CREATE INDEX command_history_finished_at ON cmdsched.command_history (finished_at);
CREATE INDEX command_history_failures ON cmdsched.command_history (finished_at) WHERE outcome <> 'succeeded';
CREATE TABLE cmdsched.command_history_0 PARTITION OF cmdsched.command_history FOR VALUES IN (0);
CREATE TABLE cmdsched.command_history_1 PARTITION OF cmdsched.command_history FOR VALUES IN (1);
CREATE TABLE cmdsched.command_history_2 PARTITION OF cmdsched.command_history FOR VALUES IN (2);
CREATE TABLE cmdsched.command_history_3 PARTITION OF cmdsched.command_history FOR VALUES IN (3);
CREATE TABLE cmdsched.command_history_4 PARTITION OF cmdsched.command_history FOR VALUES IN (4);
CREATE TABLE cmdsched.command_history_5 PARTITION OF cmdsched.command_history FOR VALUES IN (5);
CREATE TABLE cmdsched.command_history_6 PARTITION OF cmdsched.command_history FOR VALUES IN (6);
CREATE TABLE cmdsched.command_history_7 PARTITION OF cmdsched.command_history FOR VALUES IN (7);
CREATE TABLE cmdsched.command_history_8 PARTITION OF cmdsched.command_history FOR VALUES IN (8);
CREATE TABLE cmdsched.command_history_9 PARTITION OF cmdsched.command_history FOR VALUES IN (9);
CREATE TABLE cmdsched.command_history_10 PARTITION OF cmdsched.command_history FOR VALUES IN (10);
CREATE TABLE cmdsched.command_history_11 PARTITION OF cmdsched.command_history FOR VALUES IN (11);
CREATE TABLE cmdsched.command_history_12 PARTITION OF cmdsched.command_history FOR VALUES IN (12);
CREATE TABLE cmdsched.command_history_13 PARTITION OF cmdsched.command_history FOR VALUES IN (13);
CREATE TABLE cmdsched.command_history_14 PARTITION OF cmdsched.command_history FOR VALUES IN (14);
CREATE TABLE cmdsched.command_history_15 PARTITION OF cmdsched.command_history FOR VALUES IN (15);

COMMENT ON TABLE cmdsched.command_history IS 'What became of commands, as far as the handler''s history says that it is kept. Each role sees what it, or a role whose privileges it has, scheduled. The worker removes what is older than cmdsched.history_retention, and the oldest where there is more than cmdsched.history_max_rows.';
COMMENT ON COLUMN cmdsched.command_history.schedule_id IS 'Of the command';
COMMENT ON COLUMN cmdsched.command_history.command_type IS 'Of the command';
COMMENT ON COLUMN cmdsched.command_history.command_module IS 'Name space of the command type';
COMMENT ON COLUMN cmdsched.command_history.outcome IS 'succeeded; attempt_failed: to be tried again; failed: all attempts used up; abandoned: failed because its handler says so; held: could not run; snoozed: later, because its handler says so; cancelled';
COMMENT ON COLUMN cmdsched.command_history.attempt IS 'Which attempt it was, from 1; NULL where none was made';
COMMENT ON COLUMN cmdsched.command_history.scheduled_for IS 'When the attempt was due; NULL where an application had claimed the command';
COMMENT ON COLUMN cmdsched.command_history.started_at IS 'When the attempt began; NULL where none was made, or nobody knows';
COMMENT ON COLUMN cmdsched.command_history.finished_at IS 'When it ended that way';
COMMENT ON COLUMN cmdsched.command_history.error IS 'Why it failed or is held: sqlstate, message, detail, context, at';
COMMENT ON COLUMN cmdsched.command_history.result IS 'What the handler returned, if that is jsonb';
COMMENT ON COLUMN cmdsched.command_history.correlation_id IS 'Of the metadata';
COMMENT ON COLUMN cmdsched.command_history.scheduled_by IS 'The role that scheduled it and as which it ran';
COMMENT ON COLUMN cmdsched.command_history.scheduled_by_name IS 'Name of scheduled_by at that time, since oids do not survive a dump';
COMMENT ON COLUMN cmdsched.command_history.slot IS 'In which of the tables command_history_0 to command_history_15 the row is';
COMMENT ON TABLE cmdsched.command_history_0 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_1 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_2 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_3 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_4 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_5 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_6 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_7 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_8 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_9 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_10 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_11 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_12 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_13 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_14 IS 'A part of cmdsched.command_history';
COMMENT ON TABLE cmdsched.command_history_15 IS 'A part of cmdsched.command_history';

-- No key: a restored row must not collide with another one.
CREATE TABLE cmdsched.history_position (
    slot smallint NOT NULL,
    since timestamptz NOT NULL,
    CONSTRAINT history_position_slot_check CHECK (slot >= 0 AND slot <= 15)
);
COMMENT ON TABLE cmdsched.history_position IS 'Where the command history is being written: the latest row counts; without any it is slot 0.';
COMMENT ON COLUMN cmdsched.history_position.slot IS 'Slot of cmdsched.command_history';
COMMENT ON COLUMN cmdsched.history_position.since IS 'When the worker moved there';

SELECT pg_catalog.pg_extension_config_dump('cmdsched.history_position', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_0', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_1', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_2', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_3', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_4', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_5', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_6', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_7', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_8', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_9', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_10', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_11', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_12', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_13', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_14', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.command_history_15', '');

-- The parts are read through command_history only: on their own, nobody sees any row.
ALTER TABLE cmdsched.command_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_0 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_2 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_3 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_4 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_5 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_6 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_7 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_8 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_9 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_10 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_11 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_12 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_13 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_14 ENABLE ROW LEVEL SECURITY;
ALTER TABLE cmdsched.command_history_15 ENABLE ROW LEVEL SECURITY;
CREATE POLICY scheduled_by_me ON cmdsched.command_history FOR SELECT TO PUBLIC
    USING (pg_catalog.pg_has_role(scheduled_by, 'USAGE'));
COMMENT ON POLICY scheduled_by_me ON cmdsched.command_history IS 'Commands that the reader, or a role whose privileges the reader has, scheduled';
ALTER TABLE cmdsched.history_position ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_only ON cmdsched.history_position FOR SELECT TO PUBLIC USING (true);
COMMENT ON POLICY read_only ON cmdsched.history_position IS 'Who could write here could have rows kept longer than they should be';
REVOKE ALL ON TABLE cmdsched.command_history, cmdsched.history_position FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.command_history, cmdsched.history_position TO PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_0 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_1 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_2 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_3 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_4 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_5 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_6 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_7 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_8 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_9 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_10 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_11 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_12 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_13 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_14 FROM PUBLIC;
REVOKE ALL ON TABLE cmdsched.command_history_15 FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Hooks
-- ---------------------------------------------------------------------------

-- The C code knows the columns by their numbers: src/command/hook_store.c.
CREATE TABLE cmdsched.hooks (
    operation_pattern text COLLATE "C" NOT NULL,
    hook text COLLATE "C" NOT NULL,
    priority integer NOT NULL DEFAULT 0,
    owner oid NOT NULL,
    function_owner text COLLATE "C" NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    failures_in_a_row integer NOT NULL DEFAULT 0,
    disabled_reason text COLLATE "C",
    disabled_at timestamptz,
    CONSTRAINT hooks_pkey PRIMARY KEY (operation_pattern, hook)
);
COMMENT ON TABLE cmdsched.hooks IS 'Functions that are called when an operation begins and when it ends. Each role sees what it, or a role whose privileges it has, registered.';
COMMENT ON COLUMN cmdsched.hooks.operation_pattern IS 'Operations of which the hook is told: * is any characters, also dots; ? is one';
COMMENT ON COLUMN cmdsched.hooks.hook IS 'Signature of the function';
COMMENT ON COLUMN cmdsched.hooks.priority IS 'The highest is called first';
COMMENT ON COLUMN cmdsched.hooks.owner IS 'The role that registered it';
COMMENT ON COLUMN cmdsched.hooks.function_owner IS 'Who owned the function when it was registered; that of another owner, unless a superuser, is not called';
COMMENT ON COLUMN cmdsched.hooks.enabled IS 'False: not called until cmdsched.enable_hook()';
COMMENT ON COLUMN cmdsched.hooks.failures_in_a_row IS 'Calls that failed since the last one that did not; at ten it is disabled';
COMMENT ON COLUMN cmdsched.hooks.disabled_reason IS 'Why it is not enabled';
COMMENT ON COLUMN cmdsched.hooks.disabled_at IS 'Since when it is not enabled';
SELECT pg_catalog.pg_extension_config_dump('cmdsched.hooks', '');
ALTER TABLE cmdsched.hooks ENABLE ROW LEVEL SECURITY;
CREATE POLICY registered_by_me ON cmdsched.hooks FOR SELECT TO PUBLIC
    USING (pg_catalog.pg_has_role(owner, 'USAGE'));
COMMENT ON POLICY registered_by_me ON cmdsched.hooks IS 'Why a hook failed may contain what only those are to see who could read it anyway';
REVOKE ALL ON TABLE cmdsched.hooks FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.hooks TO PUBLIC;

CREATE FUNCTION cmdsched.register_hook(operation_pattern text, hook regprocedure, priority integer DEFAULT 0) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_register_hook';
COMMENT ON FUNCTION cmdsched.register_hook(text, regprocedure, integer) IS 'Has a function (operation text, attributes jsonb) called at the start and end of operations, as the role whose commands they are. The caller owns the function or is a superuser. Registering again changes the priority, and enables it.';
REVOKE ALL ON FUNCTION cmdsched.register_hook(text, regprocedure, integer) FROM PUBLIC;

CREATE FUNCTION cmdsched.unregister_hook(operation_pattern text, hook text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_unregister_hook';
COMMENT ON FUNCTION cmdsched.unregister_hook(text, text) IS 'Removes a hook, named by its signature. False if there was none.';
REVOKE ALL ON FUNCTION cmdsched.unregister_hook(text, text) FROM PUBLIC;

CREATE FUNCTION cmdsched.enable_hook(operation_pattern text, hook text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_enable_hook';
COMMENT ON FUNCTION cmdsched.enable_hook(text, text) IS 'Lets a disabled hook be called again. False if there is no such disabled hook.';
REVOKE ALL ON FUNCTION cmdsched.enable_hook(text, text) FROM PUBLIC;

CREATE FUNCTION cmdsched.disable_hook(operation_pattern text, hook text, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_disable_hook';
COMMENT ON FUNCTION cmdsched.disable_hook(text, text, text) IS 'Keeps a hook from being called. False if there is no such enabled hook.';
REVOKE ALL ON FUNCTION cmdsched.disable_hook(text, text, text) FROM PUBLIC;

CREATE FUNCTION cmdsched.check_hooks(OUT operation_pattern text, OUT hook text, OUT priority integer, OUT is_called boolean, OUT problem text) RETURNS SETOF record
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cmdsched_check_hooks';
COMMENT ON FUNCTION cmdsched.check_hooks() IS 'The enabled hooks in the order in which they are called: whether that is done for commands of the current user, and why not.';

-- ---------------------------------------------------------------------------
-- The clock
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.now() RETURNS timestamptz
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cmdsched_now';
COMMENT ON FUNCTION cmdsched.now() IS 'The time that commands go by: clock_timestamp(), or where this transaction has moved its clock to.';

CREATE FUNCTION cmdsched.set_clock(at timestamptz) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_set_clock';
COMMENT ON FUNCTION cmdsched.set_clock(timestamptz) IS 'For tests: moves the clock of this transaction forward, and runs nothing. It ends with the transaction, and stands still until then. now() follows.';

CREATE FUNCTION cmdsched.advance_clock(by interval) RETURNS integer
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_advance_clock';
COMMENT ON FUNCTION cmdsched.advance_clock(interval) IS 'For tests: moves the clock of this transaction forward and runs, in this transaction, the caller''s commands that fall due on the way, each at its own instant, retries and what they schedule included. Returns how many attempts were made.';

CREATE FUNCTION cmdsched.reset_clock() RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_reset_clock';
COMMENT ON FUNCTION cmdsched.reset_clock() IS 'For tests: back to the real time, before the transaction ends.';

-- ---------------------------------------------------------------------------
-- Handlers
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.register_handler(
    command_type text,
    handler regprocedure,
    command_module text DEFAULT '',
    max_attempts integer DEFAULT 10,
    backoff interval DEFAULT '1 second',
    max_backoff interval DEFAULT '1 hour',
    timeout interval DEFAULT NULL,
    history text DEFAULT 'failures',
    external boolean DEFAULT false,
    paused boolean DEFAULT false
) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_register_handler';
COMMENT ON FUNCTION cmdsched.register_handler(text, regprocedure, text, integer, interval, interval, interval, text, boolean, boolean) IS 'Makes a function (jsonb), (jsonb, jsonb) or (cmdsched.scheduled_commands) the handler of a command type, in place of an earlier one. The caller owns the function or is a superuser. Commands held for want of this handler become pending.';
REVOKE ALL ON FUNCTION cmdsched.register_handler(text, regprocedure, text, integer, interval, interval, interval, text, boolean, boolean) FROM PUBLIC;

CREATE FUNCTION cmdsched.unregister_handler(command_type text, command_module text DEFAULT '') RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_unregister_handler';
COMMENT ON FUNCTION cmdsched.unregister_handler(text, text) IS 'Removes the handler of a command type; its commands are held when they become due. False if there was none.';
REVOKE ALL ON FUNCTION cmdsched.unregister_handler(text, text) FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- Scheduling
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.schedule(
    command_type text,
    command_data jsonb DEFAULT '{}',
    execute_at timestamptz DEFAULT pg_catalog.now(),
    metadata jsonb DEFAULT NULL,
    schedule_id text DEFAULT NULL,
    command_module text DEFAULT '',
    on_conflict text DEFAULT 'keep',
    calendar text DEFAULT NULL,
    policy text DEFAULT NULL,
    policy_options jsonb DEFAULT NULL
) RETURNS text
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_schedule';
COMMENT ON FUNCTION cmdsched.schedule(text, jsonb, timestamptz, jsonb, text, text, text, text, text, jsonb) IS 'Says, in this transaction, that a command is to run at execute_at (the past means now), as the current user. Returns its schedule_id. If that schedule_id is already waiting: keep leaves it as it is, replace takes the new command and time, error raises 23505. A policy, then a calendar, may move execute_at first.';

CREATE FUNCTION cmdsched.schedule_in(
    command_type text,
    command_data jsonb,
    delay interval,
    metadata jsonb DEFAULT NULL,
    schedule_id text DEFAULT NULL,
    command_module text DEFAULT '',
    on_conflict text DEFAULT 'keep',
    calendar text DEFAULT NULL,
    policy text DEFAULT NULL,
    policy_options jsonb DEFAULT NULL
) RETURNS text
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_schedule_in';
COMMENT ON FUNCTION cmdsched.schedule_in(text, jsonb, interval, jsonb, text, text, text, text, text, jsonb) IS 'As cmdsched.schedule(), at now() + delay.';

CREATE FUNCTION cmdsched.get(schedule_id text) RETURNS cmdsched.scheduled_commands
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT c
      FROM cmdsched.scheduled_commands AS c
     WHERE c.schedule_id = get.schedule_id
     ORDER BY c.scheduled_by = (SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user) DESC, c.scheduled_by
     LIMIT 1;
END;
COMMENT ON FUNCTION cmdsched.get(text) IS 'The command with this schedule_id, the caller''s own first; NULL where the caller can see none.';

CREATE FUNCTION cmdsched.cancel(schedule_id text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_cancel';
COMMENT ON FUNCTION cmdsched.cancel(text) IS 'True: it was waiting and will never run. False: not found, or already executed. Waits for the outcome of a running attempt.';

CREATE FUNCTION cmdsched.reschedule(schedule_id text, execute_at timestamptz) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_reschedule';
COMMENT ON FUNCTION cmdsched.reschedule(text, timestamptz) IS 'Gives a pending command another time. False: no such pending command.';

CREATE FUNCTION cmdsched.retry(schedule_id text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_retry';
COMMENT ON FUNCTION cmdsched.retry(text) IS 'Puts a failed or held command back to pending, due now, with all its attempts before it. False: no such failed or held command.';

CREATE FUNCTION cmdsched.schedule_on_change() RETURNS trigger
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_schedule_on_change';
COMMENT ON FUNCTION cmdsched.schedule_on_change() IS 'AFTER INSERT OR UPDATE row trigger: schedules a command of the type of the first argument, with the row as command_data, the interval of the second argument from now, or from the timestamptz column that the third argument names (NULL in it: nothing).';

-- ---------------------------------------------------------------------------
-- Recurring schedules
-- ---------------------------------------------------------------------------

ALTER TABLE cmdsched.recurring ENABLE ROW LEVEL SECURITY;
CREATE POLICY scheduled_by_me ON cmdsched.recurring FOR SELECT TO PUBLIC
    USING (pg_catalog.pg_has_role(scheduled_by, 'USAGE'));
COMMENT ON POLICY scheduled_by_me ON cmdsched.recurring IS 'Schedules of the reader, or of a role whose privileges the reader has';
REVOKE ALL ON TABLE cmdsched.recurring FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.recurring TO PUBLIC;

CREATE FUNCTION cmdsched.schedule_cron(
    name text,
    cron text,
    command_type text,
    command_data jsonb DEFAULT '{}',
    timezone text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    command_module text DEFAULT '',
    dst_gap text DEFAULT 'shift',
    dst_overlap text DEFAULT 'first',
    catch_up text DEFAULT 'last',
    catch_up_limit integer DEFAULT 100,
    overlap text DEFAULT 'skip',
    spread interval DEFAULT '0',
    starts_at timestamptz DEFAULT NULL,
    ends_at timestamptz DEFAULT NULL,
    max_runs bigint DEFAULT NULL,
    calendar text DEFAULT NULL
) RETURNS text
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_schedule_cron';
COMMENT ON FUNCTION cmdsched.schedule_cron(text, text, text, jsonb, text, jsonb, text, text, text, text, integer, text, interval, timestamptz, timestamptz, bigint, text) IS 'Has a command run at every instant that a cron expression names in a time zone (NULL: that of the session), as the current user. An interval, as in 30 seconds, is as for cmdsched.schedule_every(). A schedule of this name is replaced. With a calendar, an occurrence runs when that is open, or opens next. Returns the schedule_id of the next occurrence; NULL while it is paused.';

CREATE FUNCTION cmdsched.schedule_every(
    name text,
    every interval,
    command_type text,
    command_data jsonb DEFAULT '{}',
    timezone text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    command_module text DEFAULT '',
    dst_gap text DEFAULT 'shift',
    dst_overlap text DEFAULT 'first',
    catch_up text DEFAULT 'last',
    catch_up_limit integer DEFAULT 100,
    overlap text DEFAULT 'skip',
    spread interval DEFAULT '0',
    starts_at timestamptz DEFAULT NULL,
    ends_at timestamptz DEFAULT NULL,
    max_runs bigint DEFAULT NULL,
    calendar text DEFAULT NULL
) RETURNS text
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_schedule_every';
COMMENT ON FUNCTION cmdsched.schedule_every(text, interval, text, jsonb, text, jsonb, text, text, text, text, integer, text, interval, timestamptz, timestamptz, bigint, text) IS 'As cmdsched.schedule_cron(), each time the interval has passed since starts_at, or since now. Days and months are those of the time zone.';

CREATE FUNCTION cmdsched.alter_recurring(
    name text,
    cron text DEFAULT NULL,
    every interval DEFAULT NULL,
    command_type text DEFAULT NULL,
    command_data jsonb DEFAULT NULL,
    timezone text DEFAULT NULL,
    metadata jsonb DEFAULT NULL,
    command_module text DEFAULT NULL,
    dst_gap text DEFAULT NULL,
    dst_overlap text DEFAULT NULL,
    catch_up text DEFAULT NULL,
    catch_up_limit integer DEFAULT NULL,
    overlap text DEFAULT NULL,
    spread interval DEFAULT NULL,
    starts_at timestamptz DEFAULT NULL,
    ends_at timestamptz DEFAULT NULL,
    max_runs bigint DEFAULT NULL,
    calendar text DEFAULT NULL
) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_alter_recurring';
COMMENT ON FUNCTION cmdsched.alter_recurring(text, text, interval, text, jsonb, text, jsonb, text, text, text, text, integer, text, interval, timestamptz, timestamptz, bigint, text) IS 'Changes what is given of a recurring schedule; NULL leaves it. Waits for a running occurrence. False: there is no such schedule.';

CREATE FUNCTION cmdsched.pause_recurring(name text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_pause_recurring';
COMMENT ON FUNCTION cmdsched.pause_recurring(text) IS 'No occurrence is due until cmdsched.resume_recurring(). Waits for a running one. False: there is no such schedule.';

CREATE FUNCTION cmdsched.resume_recurring(name text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_resume_recurring';
COMMENT ON FUNCTION cmdsched.resume_recurring(text) IS 'Goes on with a paused or held schedule, from now on: what was due meanwhile is not run. False: there is no such schedule.';

CREATE FUNCTION cmdsched.unschedule(name text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_unschedule';
COMMENT ON FUNCTION cmdsched.unschedule(text) IS 'Removes a recurring schedule and its next occurrence. Waits for a running one. False: there is no such schedule.';

CREATE VIEW cmdsched.recurring_schedules WITH (security_invoker = true) AS
    SELECT r.name, r.cron, r.every, r.timezone, r.command_type, r.command_module, r.command_data, r.metadata,
           CASE WHEN r.status = 'active' AND c.status = 'held' THEN c.status ELSE r.status END AS status,
           CASE WHEN r.status = 'active' AND c.status = 'held' THEN c.last_error ->> 'message' ELSE r.reason END AS reason,
           c.execute_at AS next_run, c.schedule_id AS next_schedule_id,
           r.last_run_at AS last_run, r.last_outcome, r.runs, r.max_runs, r.skipped, r.last_skipped_at,
           r.dst_gap, r.dst_overlap, r.catch_up, r.catch_up_limit, r.overlap, r.spread, r.calendar,
           nullif(r.starts_at, '-infinity') AS starts_at, nullif(r.ends_at, 'infinity') AS ends_at,
           r.created_at, r.scheduled_by, r.scheduled_by_name
      FROM cmdsched.recurring AS r
      LEFT JOIN cmdsched.scheduled_commands AS c
        ON c.schedule_id = r.next_schedule_id AND c.scheduled_by = r.scheduled_by;
COMMENT ON VIEW cmdsched.recurring_schedules IS 'The recurring schedules that the reader can see, with their next and last run.';
COMMENT ON COLUMN cmdsched.recurring_schedules.status IS 'active; paused; held: see reason; finished: ends_at or max_runs is reached';
COMMENT ON COLUMN cmdsched.recurring_schedules.reason IS 'Why it, or its next occurrence, is held';
COMMENT ON COLUMN cmdsched.recurring_schedules.next_run IS 'When the next attempt at the occurrence that waits is due, or the one that runs was';
COMMENT ON COLUMN cmdsched.recurring_schedules.next_schedule_id IS 'The schedule_id of that occurrence';
REVOKE ALL ON TABLE cmdsched.recurring_schedules FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.recurring_schedules TO PUBLIC;

-- A procedure, since VACUUM and its like end the transaction.
CREATE PROCEDURE cmdsched.run_sql(command_data jsonb)
LANGUAGE C
AS 'MODULE_PATHNAME', 'cmdsched_run_sql';
COMMENT ON PROCEDURE cmdsched.run_sql(jsonb) IS 'A handler: runs {"sql": "..."} as the role that scheduled it, in one transaction. VACUUM and other statements that cannot run in a transaction have to be alone in the text.';
REVOKE ALL ON PROCEDURE cmdsched.run_sql(jsonb) FROM PUBLIC;

CREATE FUNCTION cmdsched.next_runs(
    cron_or_interval text,
    timezone text DEFAULT NULL,
    after timestamptz DEFAULT cmdsched.now(),
    count integer DEFAULT 10,
    dst_gap text DEFAULT 'shift',
    dst_overlap text DEFAULT 'first'
) RETURNS SETOF timestamptz
LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'cmdsched_next_runs';
COMMENT ON FUNCTION cmdsched.next_runs(text, text, timestamptz, integer, text, text) IS 'The next count instants, strictly after a moment, at which a cron expression (5 fields, or 6 with the second first) comes due in a time zone (NULL: the session''s), or an interval that is counted from that moment. No rows: there is no such date. dst_gap says what becomes of a time that a day does not have (shift, skip), dst_overlap which is meant of one that it has twice (first, last, both).';

-- ---------------------------------------------------------------------------
-- Business calendars
-- ---------------------------------------------------------------------------

CREATE TABLE cmdsched.calendars (
    name text COLLATE "C" NOT NULL,
    timezone text COLLATE "C" NOT NULL,
    owner oid NOT NULL,
    owner_name text COLLATE "C" NOT NULL,
    opening_hours text[] COLLATE "C" NOT NULL DEFAULT '{closed,closed,closed,closed,closed,closed,closed}',
    CONSTRAINT calendars_pkey PRIMARY KEY (name),
    CONSTRAINT calendars_opening_hours_check CHECK (pg_catalog.array_length(opening_hours, 1) = 7 AND pg_catalog.array_position(opening_hours, NULL) IS NULL)
);
COMMENT ON TABLE cmdsched.calendars IS 'When a business is open. Everybody may use a calendar; the role that created it changes it.';
COMMENT ON COLUMN cmdsched.calendars.name IS 'Its name in this database';
COMMENT ON COLUMN cmdsched.calendars.timezone IS 'Where the clock hangs that its hours are read from';
COMMENT ON COLUMN cmdsched.calendars.owner IS 'The role that created it';
COMMENT ON COLUMN cmdsched.calendars.owner_name IS 'The name of that role at that time: oids do not survive a dump';
COMMENT ON COLUMN cmdsched.calendars.opening_hours IS 'Of each weekday, from Monday on';

CREATE TABLE cmdsched.calendar_exceptions (
    calendar text COLLATE "C" NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    hours text COLLATE "C" NOT NULL,
    CONSTRAINT calendar_exceptions_pkey PRIMARY KEY (calendar, first_day, last_day)
);
COMMENT ON TABLE cmdsched.calendar_exceptions IS 'Days on which a calendar has other hours than its weekdays say. Of several on a day, the shortest holds; among these, the one that begins last.';
COMMENT ON COLUMN cmdsched.calendar_exceptions.calendar IS 'Name of the calendar';
COMMENT ON COLUMN cmdsched.calendar_exceptions.first_day IS 'The day it begins';
COMMENT ON COLUMN cmdsched.calendar_exceptions.last_day IS 'The last day it holds';
COMMENT ON COLUMN cmdsched.calendar_exceptions.hours IS 'closed, or the hours of each of these days';

SELECT pg_catalog.pg_extension_config_dump('cmdsched.calendars', '');
SELECT pg_catalog.pg_extension_config_dump('cmdsched.calendar_exceptions', '');
ALTER TABLE cmdsched.calendars ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_only ON cmdsched.calendars FOR SELECT TO PUBLIC USING (true);
COMMENT ON POLICY read_only ON cmdsched.calendars IS 'Who could write here could move the commands of others';
ALTER TABLE cmdsched.calendar_exceptions ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_only ON cmdsched.calendar_exceptions FOR SELECT TO PUBLIC USING (true);
COMMENT ON POLICY read_only ON cmdsched.calendar_exceptions IS 'Who could write here could move the commands of others';
REVOKE ALL ON TABLE cmdsched.calendars, cmdsched.calendar_exceptions FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.calendars, cmdsched.calendar_exceptions TO PUBLIC;

CREATE FUNCTION cmdsched.create_calendar(name text, timezone text DEFAULT NULL) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_create_calendar';
COMMENT ON FUNCTION cmdsched.create_calendar(text, text) IS 'Creates a business calendar, closed until it is given opening hours, in this time zone or in that of the session.';
REVOKE ALL ON FUNCTION cmdsched.create_calendar(text, text) FROM PUBLIC;

CREATE FUNCTION cmdsched.drop_calendar(name text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_drop_calendar';
COMMENT ON FUNCTION cmdsched.drop_calendar(text) IS 'Removes a calendar and its exceptions. Commands that were scheduled with it stay as they are; recurring schedules are held after their next occurrence. False if there was none.';

CREATE FUNCTION cmdsched.set_opening_hours(calendar text, weekdays text, hours text) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_set_opening_hours';
COMMENT ON FUNCTION cmdsched.set_opening_hours(text, text, text) IS 'Gives weekdays, as in mon-thu, sat, their hours, as in 9:00-12:30, 14:00-18:00; 22:00-6:00 closes on the next day. Or closed.';

CREATE FUNCTION cmdsched.add_exception(calendar text, first_day date, last_day date DEFAULT NULL, hours text DEFAULT 'closed') RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_add_exception';
COMMENT ON FUNCTION cmdsched.add_exception(text, date, date, text) IS 'From first_day to last_day, or on that day alone, the calendar is closed or has these hours, in place of an exception of the same days.';

CREATE FUNCTION cmdsched.remove_exception(calendar text, first_day date, last_day date DEFAULT NULL) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_remove_exception';
COMMENT ON FUNCTION cmdsched.remove_exception(text, date, date) IS 'Removes the exception of exactly these days. False if there was none.';

CREATE FUNCTION cmdsched.next_open(calendar text, at timestamptz) RETURNS timestamptz
LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_next_open';
COMMENT ON FUNCTION cmdsched.next_open(text, timestamptz) IS 'The first moment, at or after this one, at which the calendar is open.';

CREATE FUNCTION cmdsched.add_working_time(calendar text, at timestamptz, amount interval) RETURNS timestamptz
LANGUAGE C STABLE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_add_working_time';
COMMENT ON FUNCTION cmdsched.add_working_time(text, timestamptz, interval) IS 'The first moment at which the calendar has been open for that long since at.';

-- ---------------------------------------------------------------------------
-- Scheduling policies
-- ---------------------------------------------------------------------------

CREATE TABLE cmdsched.policies (
    name text COLLATE "C" NOT NULL,
    function text COLLATE "C" NOT NULL,
    owner oid NOT NULL,
    owner_name text COLLATE "C" NOT NULL,
    function_owner text COLLATE "C" NOT NULL,
    CONSTRAINT policies_pkey PRIMARY KEY (name)
);
COMMENT ON TABLE cmdsched.policies IS 'Functions that move the time at which a command is executed, by the names that cmdsched.schedule() knows them by.';
COMMENT ON COLUMN cmdsched.policies.name IS 'Its name in this database';
COMMENT ON COLUMN cmdsched.policies.function IS 'Signature of the function (timestamptz, jsonb) that returns timestamptz';
COMMENT ON COLUMN cmdsched.policies.owner IS 'The role that registered it';
COMMENT ON COLUMN cmdsched.policies.owner_name IS 'The name of that role at that time: oids do not survive a dump';
COMMENT ON COLUMN cmdsched.policies.function_owner IS 'Who owned the function when it was registered; that of another owner, unless a superuser, is not called';

SELECT pg_catalog.pg_extension_config_dump('cmdsched.policies', '');
ALTER TABLE cmdsched.policies ENABLE ROW LEVEL SECURITY;
CREATE POLICY read_only ON cmdsched.policies FOR SELECT TO PUBLIC USING (true);
COMMENT ON POLICY read_only ON cmdsched.policies IS 'Who could write here could have functions called as others';
REVOKE ALL ON TABLE cmdsched.policies FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.policies TO PUBLIC;

CREATE FUNCTION cmdsched.register_policy(name text, function regprocedure) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_register_policy';
COMMENT ON FUNCTION cmdsched.register_policy(text, regprocedure) IS 'Makes a function (timestamptz, jsonb) that returns timestamptz a policy of this name, in place of an earlier one. The caller owns the function or is a superuser. It is called as whoever schedules.';
REVOKE ALL ON FUNCTION cmdsched.register_policy(text, regprocedure) FROM PUBLIC;

CREATE FUNCTION cmdsched.unregister_policy(name text) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_unregister_policy';
COMMENT ON FUNCTION cmdsched.unregister_policy(text) IS 'Removes a policy. What was scheduled with it stays as it is. False if there was none.';
REVOKE ALL ON FUNCTION cmdsched.unregister_policy(text) FROM PUBLIC;

CREATE FUNCTION cmdsched.explain_schedule(
    command_type text,
    command_data jsonb DEFAULT '{}',
    execute_at timestamptz DEFAULT pg_catalog.now(),
    metadata jsonb DEFAULT NULL,
    schedule_id text DEFAULT NULL,
    command_module text DEFAULT '',
    on_conflict text DEFAULT 'keep',
    calendar text DEFAULT NULL,
    policy text DEFAULT NULL,
    policy_options jsonb DEFAULT NULL
) RETURNS TABLE (step integer, rule text, moved_to timestamptz, detail text)
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_explain_schedule';
COMMENT ON FUNCTION cmdsched.explain_schedule(text, jsonb, timestamptz, jsonb, text, text, text, text, text, jsonb) IS 'Takes the arguments of cmdsched.schedule() and shows, step by step, how execute_at would come about. Schedules nothing; what a policy writes is rolled back.';

-- ---------------------------------------------------------------------------
-- Dispatch by hand
-- ---------------------------------------------------------------------------

-- The table may be large, and the planner's figures of another time: so through
-- the indexes, from role to role.
CREATE FUNCTION cmdsched.get_due_commands(max_commands integer DEFAULT NULL) RETURNS SETOF cmdsched.scheduled_commands
LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
BEGIN ATOMIC
    SELECT d.*
      FROM pg_catalog.pg_roles AS r
     CROSS JOIN LATERAL (
           SELECT FROM cmdsched.scheduled_commands AS c
            WHERE c.scheduled_by = r.oid
            ORDER BY c.due_at
            LIMIT 1
           ) AS has_commands
     CROSS JOIN LATERAL (
           (SELECT c.* FROM cmdsched.scheduled_commands AS c
             WHERE c.scheduled_by = r.oid AND c.due_at <= (SELECT cmdsched.now()) AND c.status = 'pending'
             ORDER BY c.due_at, c.schedule_id
             LIMIT get_due_commands.max_commands)
           UNION ALL
           (SELECT e.*
              FROM cmdsched.handlers AS h
             CROSS JOIN LATERAL (
                   SELECT c.* FROM cmdsched.scheduled_commands AS c
                    WHERE c.command_type = h.command_type AND c.command_module = h.command_module AND c.scheduled_by = r.oid
                      AND c.due_at = 'infinity' AND c.claimable_at <= (SELECT cmdsched.now())
                    ORDER BY c.claimable_at, c.schedule_id
                    LIMIT get_due_commands.max_commands) AS e
             WHERE h.external)
           UNION ALL
           (SELECT c.*
              FROM cmdsched.handlers AS h
              JOIN cmdsched.scheduled_commands AS c
                ON c.command_type = h.command_type AND c.command_module = h.command_module AND c.scheduled_by = r.oid
             WHERE h.paused AND c.due_at = 'infinity' AND c.claimable_at IS NULL AND c.status = 'pending'
               AND c.execute_at <= (SELECT cmdsched.now()))
           ) AS d
     WHERE pg_catalog.pg_has_role(r.oid, 'USAGE')
     ORDER BY d.execute_at, d.schedule_id
     LIMIT get_due_commands.max_commands;
END;
COMMENT ON FUNCTION cmdsched.get_due_commands(integer) IS 'The pending commands that the caller can see and that are due, by execute_at; at most max_commands. A plain read: nothing is claimed.';

CREATE FUNCTION cmdsched.delete_executed(schedule_id text) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_delete_executed';
COMMENT ON FUNCTION cmdsched.delete_executed(text) IS 'Removes a command that the caller has carried out itself; no error if it is gone.';

CREATE FUNCTION cmdsched.process_due_commands(max_commands integer DEFAULT NULL) RETURNS integer
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_process_due_commands';
COMMENT ON FUNCTION cmdsched.process_due_commands(integer) IS 'Runs the caller''s own due commands, oldest first and at most max_commands, in this transaction, each in a subtransaction. A failed one is recorded and does not stop the rest. Returns how many succeeded.';

-- ---------------------------------------------------------------------------
-- Dispatchers outside the database
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.claim_due_commands(
    max_commands integer,
    command_types text[] DEFAULT NULL,
    lease interval DEFAULT '30 seconds',
    OUT schedule_id text,
    OUT command_type text,
    OUT command_module text,
    OUT command_data jsonb,
    OUT metadata jsonb,
    OUT attempts integer,
    OUT claim_token uuid
) RETURNS SETOF record
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_claim_due_commands';
COMMENT ON FUNCTION cmdsched.claim_due_commands(integer, text[], interval) IS 'For an application that carries commands out itself: takes up to max_commands due ones of external handlers, oldest first, of all types or the named ones, which nobody else then gets until the lease ends. Counts an attempt for each. Never waits.';

CREATE FUNCTION cmdsched.complete(schedule_id text, claim_token uuid, result jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_complete';
COMMENT ON FUNCTION cmdsched.complete(text, uuid, jsonb) IS 'A claimed command was carried out: removes it. False where the claim is no longer valid; then nothing is changed. In the transaction of the application''s own effects, these are made exactly once.';

CREATE FUNCTION cmdsched.fail(schedule_id text, claim_token uuid, error text, retry_in interval DEFAULT NULL) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_fail';
COMMENT ON FUNCTION cmdsched.fail(text, uuid, text, interval) IS 'An attempt at a claimed command failed: it is due again after its handler''s backoff, or retry_in, or failed if that was its last attempt. False where the claim is no longer valid; then nothing is changed.';

CREATE FUNCTION cmdsched.extend_lease(schedule_id text, claim_token uuid, lease interval) RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_extend_lease';
COMMENT ON FUNCTION cmdsched.extend_lease(text, uuid, interval) IS 'Lets a lease end that long from now. False where the claim is no longer valid; then nothing is changed.';

-- ---------------------------------------------------------------------------
-- The worker
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.start() RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_start';
COMMENT ON FUNCTION cmdsched.start() IS 'Starts the scheduler of this database. False if it was running already.';
REVOKE ALL ON FUNCTION cmdsched.start() FROM PUBLIC;

CREATE FUNCTION cmdsched.stop(timeout interval DEFAULT '5 seconds') RETURNS boolean
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_stop';
COMMENT ON FUNCTION cmdsched.stop(interval) IS 'Stops the workers of this database until cmdsched.start() or the next server start: running commands may finish within the timeout, then they are cancelled. False if none ran.';
REVOKE ALL ON FUNCTION cmdsched.stop(interval) FROM PUBLIC;

CREATE FUNCTION cmdsched.adopt() RETURNS bigint
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_adopt';
COMMENT ON FUNCTION cmdsched.adopt() IS 'In a copy of a database, made by pg_restore or from a template: lets its commands run here, each as the role that has the name of the one that scheduled it. Until then they wait. Returns how many are pending.';
REVOKE ALL ON FUNCTION cmdsched.adopt() FROM PUBLIC;

CREATE FUNCTION cmdsched.trigger() RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_trigger';
COMMENT ON FUNCTION cmdsched.trigger() IS 'Wakes the scheduler of this database now, and again when this transaction commits, to look at everything. NOTIFY cmdsched does the same at commit.';

CREATE FUNCTION cmdsched.run_once() RETURNS integer
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_run_once';
COMMENT ON FUNCTION cmdsched.run_once() IS 'One cycle of a worker in this session and transaction: runs all of the caller''s own commands that are due. Returns how many succeeded.';

CREATE FUNCTION cmdsched.list_workers(
    OUT pid integer,
    OUT kind text,
    OUT role name,
    OUT state text,
    OUT since timestamptz,
    OUT commands_run bigint,
    OUT schedule_id text,
    OUT command_type text,
    OUT command_since timestamptz
) RETURNS SETOF record
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_list_workers';
COMMENT ON FUNCTION cmdsched.list_workers() IS 'What the view cmdsched.workers shows.';

CREATE VIEW cmdsched.workers AS
    SELECT w.pid, w.kind, w.role, w.state, w.since, w.commands_run, w.schedule_id, w.command_type, w.command_since
      FROM cmdsched.list_workers() AS w;
COMMENT ON VIEW cmdsched.workers IS 'The launcher of this server and the scheduler and executors of this database. schedule_id, command_type and command_since are of the command being run, where the reader may see it or is a member of pg_read_all_stats.';
COMMENT ON COLUMN cmdsched.workers.kind IS 'launcher, scheduler or executor';
COMMENT ON COLUMN cmdsched.workers.role IS 'The role that an executor is connected as';
COMMENT ON COLUMN cmdsched.workers.state IS 'starting, idle, running or stopping';
COMMENT ON COLUMN cmdsched.workers.since IS 'Since when it is in this state';
COMMENT ON COLUMN cmdsched.workers.commands_run IS 'Attempts an executor has made since it started';
COMMENT ON COLUMN cmdsched.workers.schedule_id IS 'The command being run; NULL: none, or none that the reader may see';
COMMENT ON COLUMN cmdsched.workers.command_type IS 'Its type';
COMMENT ON COLUMN cmdsched.workers.command_since IS 'When its attempt began';
REVOKE ALL ON TABLE cmdsched.workers FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.workers TO PUBLIC;

-- ---------------------------------------------------------------------------
-- Statistics
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.list_handler_statistics(
    OUT command_type text,
    OUT command_module text,
    OUT runs bigint,
    OUT succeeded bigint,
    OUT failures bigint,
    OUT failures_by_class jsonb,
    OUT failed_for_good bigint,
    OUT retries bigint,
    OUT conflicts bigint,
    OUT snoozed bigint,
    OUT held bigint,
    OUT lateness_mean_ms double precision,
    OUT lateness_p50_ms double precision,
    OUT lateness_p95_ms double precision,
    OUT lateness_p99_ms double precision,
    OUT lateness_max_ms double precision,
    OUT lateness_total_ms double precision,
    OUT run_time_mean_ms double precision,
    OUT run_time_p50_ms double precision,
    OUT run_time_p95_ms double precision,
    OUT run_time_p99_ms double precision,
    OUT run_time_max_ms double precision,
    OUT run_time_total_ms double precision,
    OUT shared_blocks_hit bigint,
    OUT shared_blocks_read bigint,
    OUT wal_bytes bigint,
    OUT since timestamptz
) RETURNS SETOF record
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_list_handler_statistics';
COMMENT ON FUNCTION cmdsched.list_handler_statistics() IS 'What the view cmdsched.stat_handlers shows.';

CREATE VIEW cmdsched.stat_handlers AS
    SELECT s.command_type, s.command_module, s.runs, s.succeeded, s.failures, s.failures_by_class, s.failed_for_good,
           s.retries, s.conflicts, s.snoozed, s.held,
           s.lateness_mean_ms, s.lateness_p50_ms, s.lateness_p95_ms, s.lateness_p99_ms, s.lateness_max_ms, s.lateness_total_ms,
           s.run_time_mean_ms, s.run_time_p50_ms, s.run_time_p95_ms, s.run_time_p99_ms, s.run_time_max_ms, s.run_time_total_ms,
           s.shared_blocks_hit, s.shared_blocks_read, s.wal_bytes, s.since
      FROM cmdsched.list_handler_statistics() AS s;
COMMENT ON VIEW cmdsched.stat_handlers IS 'What became of the commands of each type in this database, and how long it took, since the server started or cmdsched.reset_statistics(). Of committed transactions.';
COMMENT ON COLUMN cmdsched.stat_handlers.command_type IS 'NULL: all types, of any database, for which there was no room';
COMMENT ON COLUMN cmdsched.stat_handlers.command_module IS 'Name space of the command type';
COMMENT ON COLUMN cmdsched.stat_handlers.runs IS 'Calls of the handler: succeeded, failures, conflicts and snoozed together';
COMMENT ON COLUMN cmdsched.stat_handlers.succeeded IS 'Calls that succeeded';
COMMENT ON COLUMN cmdsched.stat_handlers.failures IS 'Calls that failed and are counted as attempts, abandon() included';
COMMENT ON COLUMN cmdsched.stat_handlers.failures_by_class IS 'The same by the first two characters of the SQLSTATE; other: of more classes than are told apart';
COMMENT ON COLUMN cmdsched.stat_handlers.failed_for_good IS 'Of the failures, those after which the command is failed';
COMMENT ON COLUMN cmdsched.stat_handlers.retries IS 'Calls for commands that had failed before';
COMMENT ON COLUMN cmdsched.stat_handlers.conflicts IS 'Calls that ended in a serialization failure or deadlock and were made again at once';
COMMENT ON COLUMN cmdsched.stat_handlers.snoozed IS 'Calls that ended in snooze()';
COMMENT ON COLUMN cmdsched.stat_handlers.held IS 'Commands that were held since they could not run';
COMMENT ON COLUMN cmdsched.stat_handlers.lateness_mean_ms IS 'From when a command was due to when its handler was called';
COMMENT ON COLUMN cmdsched.stat_handlers.lateness_p50_ms IS 'Half of the calls were not later';
COMMENT ON COLUMN cmdsched.stat_handlers.lateness_p95_ms IS '95 percent of the calls were not later';
COMMENT ON COLUMN cmdsched.stat_handlers.lateness_p99_ms IS '99 percent of the calls were not later';
COMMENT ON COLUMN cmdsched.stat_handlers.lateness_max_ms IS 'No call was later';
COMMENT ON COLUMN cmdsched.stat_handlers.lateness_total_ms IS 'Of all calls together';
COMMENT ON COLUMN cmdsched.stat_handlers.run_time_mean_ms IS 'How long the handler ran';
COMMENT ON COLUMN cmdsched.stat_handlers.run_time_p50_ms IS 'Half of the calls took no longer';
COMMENT ON COLUMN cmdsched.stat_handlers.run_time_p95_ms IS '95 percent of the calls took no longer';
COMMENT ON COLUMN cmdsched.stat_handlers.run_time_p99_ms IS '99 percent of the calls took no longer';
COMMENT ON COLUMN cmdsched.stat_handlers.run_time_max_ms IS 'No call took longer';
COMMENT ON COLUMN cmdsched.stat_handlers.run_time_total_ms IS 'Of all calls together';
COMMENT ON COLUMN cmdsched.stat_handlers.shared_blocks_hit IS 'Shared blocks that the calls found in the buffers';
COMMENT ON COLUMN cmdsched.stat_handlers.shared_blocks_read IS 'Shared blocks that the calls read';
COMMENT ON COLUMN cmdsched.stat_handlers.wal_bytes IS 'WAL that the calls wrote, without claim and commit';
COMMENT ON COLUMN cmdsched.stat_handlers.since IS 'When counting began';
REVOKE ALL ON TABLE cmdsched.stat_handlers FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.stat_handlers TO PUBLIC;

-- Counts as its owner, since not every row is the reader's to see: which roles
-- are shown is decided here.
--
-- Each number is a query of its own, which is not made where its column is not
-- asked for.  Only pending, due and claimable read what they count; the others
-- read little in a table of any size.  What is held or failed has no
-- claimable_at: so the commands for applications are not read for it.
CREATE VIEW cmdsched.stat_roles WITH (security_barrier = true) AS
    WITH RECURSIVE roles AS (
        (SELECT c.scheduled_by FROM cmdsched.scheduled_commands AS c ORDER BY c.scheduled_by LIMIT 1)
        UNION ALL
        SELECT (SELECT c.scheduled_by FROM cmdsched.scheduled_commands AS c WHERE c.scheduled_by > r.scheduled_by ORDER BY c.scheduled_by LIMIT 1)
          FROM roles AS r
         WHERE r.scheduled_by IS NOT NULL
    ), parked AS (
        (SELECT c.command_type, c.command_module, c.scheduled_by
           FROM cmdsched.scheduled_commands AS c
          WHERE c.due_at = 'infinity'
          ORDER BY c.command_type, c.command_module, c.scheduled_by
          LIMIT 1)
        UNION ALL
        SELECT n.command_type, n.command_module, n.scheduled_by
          FROM parked AS p
         CROSS JOIN LATERAL (
               SELECT c.command_type, c.command_module, c.scheduled_by
                 FROM cmdsched.scheduled_commands AS c
                WHERE c.due_at = 'infinity' AND (c.command_type, c.command_module, c.scheduled_by) > (p.command_type, p.command_module, p.scheduled_by)
                ORDER BY c.command_type, c.command_module, c.scheduled_by
                LIMIT 1
               ) AS n
    )
    SELECT coalesce(n.rolname, (SELECT c.scheduled_by_name FROM cmdsched.scheduled_commands AS c WHERE c.scheduled_by = r.scheduled_by LIMIT 1)) AS role,
           (SELECT pg_catalog.count(*) FROM cmdsched.scheduled_commands AS c WHERE c.scheduled_by = r.scheduled_by AND c.due_at < 'infinity')
           + (SELECT pg_catalog.count(*) FROM cmdsched.scheduled_commands AS c WHERE c.scheduled_by = r.scheduled_by AND c.due_at = 'infinity' AND c.status = 'pending') AS pending,
           (SELECT pg_catalog.count(*) FROM cmdsched.scheduled_commands AS c WHERE c.scheduled_by = r.scheduled_by AND c.due_at <= t.now AND c.schedule_id <> ALL (w.running)) AS due,
           o.oldest_due_at,
           coalesce(extract(epoch FROM t.now - o.oldest_due_at) * 1000, 0)::double precision AS lag_ms,
           (SELECT coalesce(pg_catalog.sum(f.commands), 0)::bigint
              FROM parked AS p
             CROSS JOIN LATERAL (
                   SELECT pg_catalog.count(*) AS commands
                     FROM cmdsched.scheduled_commands AS c
                    WHERE c.due_at = 'infinity' AND c.command_type = p.command_type AND c.command_module = p.command_module AND c.scheduled_by = p.scheduled_by AND c.claimable_at <= t.now
                   ) AS f
             WHERE p.scheduled_by = r.scheduled_by) AS claimable,
           (SELECT pg_catalog.min(f.claimable_at)
              FROM parked AS p
             CROSS JOIN LATERAL (
                   SELECT c.claimable_at
                     FROM cmdsched.scheduled_commands AS c
                    WHERE c.due_at = 'infinity' AND c.command_type = p.command_type AND c.command_module = p.command_module AND c.scheduled_by = p.scheduled_by AND c.claimable_at <= t.now
                    ORDER BY c.claimable_at
                    LIMIT 1
                   ) AS f
             WHERE p.scheduled_by = r.scheduled_by) AS oldest_claimable_at,
           w.executors AS running,
           s.held, s.failed
      FROM roles AS r
     CROSS JOIN (SELECT cmdsched.now() AS now) AS t
      LEFT JOIN pg_catalog.pg_roles AS n ON n.oid = r.scheduled_by
     CROSS JOIN LATERAL (
           SELECT pg_catalog.count(*) AS executors,
                  coalesce(pg_catalog.array_agg(w.schedule_id) FILTER (WHERE w.schedule_id IS NOT NULL), '{}') AS running
             FROM cmdsched.list_workers() AS w
            WHERE w.role = n.rolname AND w.state = 'running'
           ) AS w
     CROSS JOIN LATERAL (
           SELECT (SELECT c.due_at
                     FROM cmdsched.scheduled_commands AS c
                    WHERE c.scheduled_by = r.scheduled_by AND c.due_at <= t.now AND c.schedule_id <> ALL (w.running)
                    ORDER BY c.due_at
                    LIMIT 1) AS oldest_due_at
           ) AS o
     CROSS JOIN LATERAL (
           SELECT coalesce(pg_catalog.sum(f.held), 0)::bigint AS held, coalesce(pg_catalog.sum(f.failed), 0)::bigint AS failed
             FROM parked AS p
            CROSS JOIN LATERAL (
                  SELECT pg_catalog.count(*) FILTER (WHERE c.status = 'held') AS held,
                         pg_catalog.count(*) FILTER (WHERE c.status = 'failed') AS failed
                    FROM cmdsched.scheduled_commands AS c
                   WHERE c.due_at = 'infinity' AND c.command_type = p.command_type AND c.command_module = p.command_module AND c.scheduled_by = p.scheduled_by AND c.claimable_at IS NULL
                  ) AS f
            WHERE p.scheduled_by = r.scheduled_by
           ) AS s
     WHERE r.scheduled_by IS NOT NULL
       AND (pg_catalog.pg_has_role(r.scheduled_by, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'));
COMMENT ON VIEW cmdsched.stat_roles IS 'What waits in this database, by the role that scheduled it: of the reader, of roles whose privileges the reader has, for members of pg_read_all_stats of all. Counts rows of cmdsched.scheduled_commands.';
COMMENT ON COLUMN cmdsched.stat_roles.role IS 'The role, or the name it had if it is gone';
COMMENT ON COLUMN cmdsched.stat_roles.pending IS 'Pending commands, in the future, due and running ones';
COMMENT ON COLUMN cmdsched.stat_roles.due IS 'Those that a worker is to run now, and is not running';
COMMENT ON COLUMN cmdsched.stat_roles.oldest_due_at IS 'When the oldest of these was due; NULL: there is none';
COMMENT ON COLUMN cmdsched.stat_roles.lag_ms IS 'How long ago that was; 0: there is none';
COMMENT ON COLUMN cmdsched.stat_roles.claimable IS 'Commands that an application may claim now';
COMMENT ON COLUMN cmdsched.stat_roles.oldest_claimable_at IS 'Since when the oldest of these waits; NULL: there is none';
COMMENT ON COLUMN cmdsched.stat_roles.running IS 'Executors that are running commands of the role';
COMMENT ON COLUMN cmdsched.stat_roles.held IS 'Commands that are held: see last_error';
COMMENT ON COLUMN cmdsched.stat_roles.failed IS 'Commands that have failed for good';
REVOKE ALL ON TABLE cmdsched.stat_roles FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.stat_roles TO PUBLIC;

CREATE VIEW cmdsched.stat_database WITH (security_barrier = true) AS
    SELECT NOT h.is_home AND c.scheduled_by IS NOT NULL AS is_copy,
           r.recurring, r.recurring_held, k.hooks, k.hooks_disabled,
           t.commands_estimate, t.table_bytes, t.index_bytes, p.history_bytes
      FROM (SELECT EXISTS (SELECT FROM cmdsched.home AS h JOIN pg_catalog.pg_database AS d ON d.oid = h.database
                            WHERE d.datname = pg_catalog.current_database()) AS is_home) AS h
      LEFT JOIN (SELECT c.scheduled_by FROM cmdsched.scheduled_commands AS c ORDER BY c.scheduled_by LIMIT 1) AS c ON true
     CROSS JOIN (
           SELECT pg_catalog.count(*) AS recurring,
                  pg_catalog.count(*) FILTER (WHERE r.status = 'held') AS recurring_held
             FROM cmdsched.recurring AS r
            WHERE pg_catalog.pg_has_role(r.scheduled_by, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
           ) AS r
     CROSS JOIN (
           SELECT pg_catalog.count(*) AS hooks,
                  pg_catalog.count(*) FILTER (WHERE NOT k.enabled) AS hooks_disabled
             FROM cmdsched.hooks AS k
            WHERE pg_catalog.pg_has_role(k.owner, 'USAGE') OR pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
           ) AS k
     CROSS JOIN (
           SELECT CASE WHEN t.reltuples >= 0 THEN t.reltuples::bigint END AS commands_estimate,
                  pg_catalog.pg_table_size(t.oid) AS table_bytes, pg_catalog.pg_indexes_size(t.oid) AS index_bytes
             FROM pg_catalog.pg_class AS t
            WHERE t.oid = 'cmdsched.scheduled_commands'::regclass
           ) AS t
     CROSS JOIN (
           SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(p.relid))::bigint AS history_bytes
             FROM pg_catalog.pg_partition_tree('cmdsched.command_history') AS p
            WHERE p.isleaf
           ) AS p;
COMMENT ON VIEW cmdsched.stat_database IS 'One row: what else is of interest in this database, and costs little to ask. Schedules and hooks are those of the reader, and of roles whose privileges the reader has; for members of pg_read_all_stats all.';
COMMENT ON COLUMN cmdsched.stat_database.is_copy IS 'Whether commands wait because this database is a copy: see adopt()';
COMMENT ON COLUMN cmdsched.stat_database.recurring IS 'Recurring schedules';
COMMENT ON COLUMN cmdsched.stat_database.recurring_held IS 'Those of them that do not go on until somebody acts';
COMMENT ON COLUMN cmdsched.stat_database.hooks IS 'Hooks that are registered';
COMMENT ON COLUMN cmdsched.stat_database.hooks_disabled IS 'Those of them that are not called';
COMMENT ON COLUMN cmdsched.stat_database.commands_estimate IS 'How many commands there were at the last VACUUM or ANALYZE; NULL: there was none';
COMMENT ON COLUMN cmdsched.stat_database.table_bytes IS 'Size of the table of commands';
COMMENT ON COLUMN cmdsched.stat_database.index_bytes IS 'Size of its indexes';
COMMENT ON COLUMN cmdsched.stat_database.history_bytes IS 'Size of cmdsched.command_history with its indexes';
REVOKE ALL ON TABLE cmdsched.stat_database FROM PUBLIC;
GRANT SELECT ON TABLE cmdsched.stat_database TO PUBLIC;

CREATE FUNCTION cmdsched.reset_statistics() RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_reset_statistics';
COMMENT ON FUNCTION cmdsched.reset_statistics() IS 'Begins the statistics of this database anew.';
REVOKE ALL ON FUNCTION cmdsched.reset_statistics() FROM PUBLIC;

-- ---------------------------------------------------------------------------
-- What comes, and why
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.upcoming(
    within interval DEFAULT '1 hour',
    buckets integer DEFAULT 12,
    OUT due_from timestamptz,
    OUT due_until timestamptz,
    OUT commands bigint,
    OUT for_applications bigint,
    OUT bar text
) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    at CONSTANT timestamptz := cmdsched.now();
    width interval;
BEGIN
    IF upcoming.buckets IS NULL OR upcoming.buckets NOT BETWEEN 1 AND 1000 THEN
        RAISE 'buckets must be from 1 to 1000' USING ERRCODE = 'invalid_parameter_value', HINT = 'Each is a row of the table.';
    ELSIF upcoming.within IS NULL OR upcoming.within <= interval '0' OR upcoming.within > interval '1000 years' THEN
        RAISE 'within must be longer than nothing and no longer than 1000 years' USING ERRCODE = 'invalid_parameter_value', HINT = 'Use ''1 hour'', for one.';
    END IF;
    width := pg_catalog.make_interval(secs => extract(epoch FROM at + upcoming.within - at)::double precision / upcoming.buckets);
    RETURN QUERY
    WITH times AS (
        SELECT n.n, CASE WHEN n.n > 0 THEN at + width * (n.n - 1) END AS due_from, at + width * n.n AS due_until
          FROM pg_catalog.generate_series(0, upcoming.buckets) AS n (n)
    ), waiting AS (
        SELECT w.due_at, w.external
          FROM pg_catalog.pg_roles AS r
         CROSS JOIN LATERAL (
               SELECT FROM cmdsched.scheduled_commands AS c
                WHERE c.scheduled_by = r.oid
                ORDER BY c.due_at
                LIMIT 1
               ) AS has_commands
         CROSS JOIN LATERAL (
               SELECT c.due_at, false AS external
                 FROM cmdsched.scheduled_commands AS c
                WHERE c.scheduled_by = r.oid AND c.due_at < at + width * upcoming.buckets
                UNION ALL
               SELECT c.claimable_at, true
                 FROM cmdsched.scheduled_commands AS c
                WHERE c.scheduled_by = r.oid AND c.due_at = 'infinity' AND c.claimable_at < at + width * upcoming.buckets
                  AND (c.claim_token IS NULL OR c.claimable_at <= at)
               ) AS w
         WHERE pg_catalog.pg_has_role(r.oid, 'USAGE')
    ), counted AS (
        SELECT CASE WHEN w.due_at <= at THEN 0
                    ELSE least(1 + floor(extract(epoch FROM w.due_at - at) / extract(epoch FROM width))::integer, upcoming.buckets)
               END AS n,
               count(*) AS commands, count(*) FILTER (WHERE w.external) AS for_applications
          FROM waiting AS w
         GROUP BY 1
    )
    SELECT t.due_from, t.due_until, coalesce(c.commands, 0), coalesce(c.for_applications, 0),
           coalesce(repeat('#', ceil(40.0 * c.commands / max(c.commands) OVER ())::integer), '')
      FROM times AS t
      LEFT JOIN counted AS c ON c.n = t.n
     ORDER BY t.n;
END
$$;
COMMENT ON FUNCTION cmdsched.upcoming(interval, integer) IS 'How many of the pending commands that the caller can see fall due when: first those that are due already, then those of the time to come, in so many parts. What is held, paused or in the hands of an application is not counted; of a recurring schedule, its next occurrence.';

CREATE FUNCTION cmdsched.explain_command(schedule_id text) RETURNS TABLE (fact text, explanation text)
LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    SELECT f.fact, f.explanation
      FROM cmdsched.get(explain_command.schedule_id) AS c
     CROSS JOIN (SELECT cmdsched.now() AS now) AS t
      LEFT JOIN cmdsched.handlers AS h ON h.command_type = c.command_type AND h.command_module = c.command_module
      LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = c.scheduled_by
      LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = h.owner
      LEFT JOIN (SELECT w.role, w.schedule_id, w.pid, w.since FROM cmdsched.workers AS w WHERE w.kind = 'executor') AS w
        ON w.schedule_id = c.schedule_id AND w.role = r.rolname
     CROSS JOIN LATERAL (
           SELECT c.claim_token IS NOT NULL AND c.execute_at > t.now AS is_claimed,
                  CASE WHEN c.due_at < 'infinity' THEN c.due_at ELSE c.claimable_at END AS due_at,
                  EXISTS (SELECT FROM cmdsched.workers AS s WHERE s.kind = 'scheduler') AS has_scheduler,
                  EXISTS (SELECT FROM cmdsched.home AS m JOIN pg_catalog.pg_database AS d ON d.oid = m.database
                           WHERE d.datname = pg_catalog.current_database()) AS is_home
           ) AS s
     CROSS JOIN LATERAL (VALUES
           (1, 'command', pg_catalog.format('Of type "%s"%s, scheduled by role "%s" at %s.', c.command_type,
               CASE WHEN c.command_module <> '' THEN pg_catalog.format(' of module "%s"', c.command_module) END, c.scheduled_by_name, c.created_at)),
           (2, 'recurring', CASE WHEN c.recurring IS NOT NULL
               THEN pg_catalog.format('It is the occurrence of the recurring schedule "%s" for %s.', c.recurring, c.occurrence_at) END),
           (3, 'state', CASE
               WHEN w.pid IS NOT NULL THEN pg_catalog.format('It is being run since %s, by the worker with pid %s.', w.since, w.pid)
               WHEN c.status = 'held' THEN 'It is held: it waits until somebody acts, and then calls retry().'
               WHEN c.status = 'failed' THEN pg_catalog.format('It has failed for good, after %s %s. It is kept until somebody calls retry() or cancel().',
                                                               c.attempts, CASE c.attempts WHEN 1 THEN 'attempt' ELSE 'attempts' END)
               WHEN s.is_claimed THEN pg_catalog.format('An application has claimed it, until %s. This is attempt %s.', c.execute_at, c.attempts)
               WHEN s.due_at IS NULL THEN 'It is pending, but set aside: no worker looks at it.'
               WHEN s.due_at BETWEEN t.now - interval '1 second' AND t.now THEN 'It is pending, and due now.'
               WHEN s.due_at < t.now THEN pg_catalog.format('It is pending, and due for %s.', pg_catalog.date_trunc('second', t.now - s.due_at))
               ELSE pg_catalog.format('It is pending, and falls due in %s.', pg_catalog.date_trunc('second', s.due_at - t.now)) END),
           (4, 'time', CASE
               WHEN c.status <> 'pending' THEN pg_catalog.format('It was to run at %s. There is no next time.', c.execute_at)
               WHEN s.is_claimed THEN pg_catalog.format('At %s the lease ends: if the application has not completed it by then, it is due again.', c.execute_at)
               WHEN c.conflicts > 0 THEN pg_catalog.format('Due at %s: the last attempt met a deadlock or serialization failure, which does not count, and is made again at once (%s so far).', s.due_at, c.conflicts)
               WHEN c.attempts > 0 AND c.last_error IS NOT NULL THEN pg_catalog.format('Due at %s: attempt %s failed at %s, and this is when the next is made, by the handler''s backoff unless somebody has named another time.',
                                                          coalesce(s.due_at, c.execute_at), c.attempts, c.last_error ->> 'at')
               WHEN s.due_at > c.execute_at THEN pg_catalog.format('It was to run at %s, which was past when it was scheduled: so it was due at once, at %s.', c.execute_at, s.due_at)
               ELSE pg_catalog.format('It is to run at %s, as %s.', c.execute_at,
                                      CASE WHEN c.recurring IS NULL THEN 'whoever scheduled or moved it said' ELSE 'its schedule has it' END) END),
           (5, 'last error', CASE WHEN c.last_error IS NOT NULL
               THEN pg_catalog.format('SQLSTATE %s: %s%s', c.last_error ->> 'sqlstate', c.last_error ->> 'message', ' (' || (c.last_error ->> 'detail') || ')') END),
           (6, 'handler', CASE
               WHEN h.command_type IS NULL THEN 'None is registered for this type: it is held when it falls due.'
               WHEN h.external THEN 'External: an application carries it out.'
               ELSE pg_catalog.format('The function %s, registered by role "%s".', h.handler, o.rolname) END),
           (7, 'attempts', CASE WHEN h.command_type IS NOT NULL THEN
               pg_catalog.format('%s of %s so far. After a failed one it waits %s, doubled each time up to %s, give or take 10 %%.',
                                 c.attempts, h.max_attempts, h.backoff, h.max_backoff) END),
           (8, 'waits for', CASE
               WHEN w.pid IS NOT NULL OR c.status <> 'pending' OR NOT s.is_home THEN NULL
               WHEN s.is_claimed THEN 'The application: complete(), fail(), or the end of the lease.'
               WHEN h.paused THEN 'Its handler is paused: register it again, not paused.'
               WHEN s.due_at > t.now THEN 'Its time.'
               WHEN h.external THEN 'An application that calls claim_due_commands() for its type.'
               WHEN s.has_scheduler THEN 'A worker: it runs as soon as one is free.' END),
           (9, 'waits for', CASE
               WHEN c.status = 'pending' AND NOT s.is_home THEN 'adopt(): this database is a copy, in which nothing runs.' END),
           (10, 'waits for', CASE
               WHEN c.status <> 'pending' OR w.pid IS NOT NULL OR h.external THEN NULL
               WHEN NOT s.has_scheduler THEN 'A worker: no scheduler is running in this database. Use start(), or let the role call process_due_commands().'
               WHEN pg_catalog.current_setting('cmdsched.enabled', true) = 'off' THEN 'The setting cmdsched.enabled, which is off.' END),
           (11, 'runs as', CASE
               WHEN r.rolname IS NULL THEN pg_catalog.format('Role "%s", which does not exist any more.', c.scheduled_by_name)
               WHEN h.external THEN pg_catalog.format('Whoever claims it: role "%s", and roles that have its privileges.', r.rolname)
               WHEN h.handler IS NOT NULL AND pg_catalog.to_regprocedure(h.handler) IS NOT NULL
                    AND NOT pg_catalog.has_function_privilege(r.oid, pg_catalog.to_regprocedure(h.handler)::oid, 'EXECUTE')
                   THEN pg_catalog.format('Role "%s", which may not execute the handler.', r.rolname)
               ELSE pg_catalog.format('Role "%s": in a worker that is connected as it, or in a session of it that calls process_due_commands().', r.rolname) END),
           (12, 'may be changed by', CASE WHEN r.rolname IS NOT NULL
               THEN pg_catalog.format('Role "%s", roles that have its privileges, and superusers: cancel(), reschedule(), retry().', r.rolname) END)
           ) AS f (n, fact, explanation)
     WHERE c.schedule_id IS NOT NULL AND f.explanation IS NOT NULL
     ORDER BY f.n;
END;
COMMENT ON FUNCTION cmdsched.explain_command(text) IS 'Why this command has the state and the time that it has, what it waits for and who may run it, in sentences. No rows where the caller can see no such command.';

-- ---------------------------------------------------------------------------
-- doctor()
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.worker_health(
    OUT enabled boolean,
    OUT serves_database boolean,
    OUT max_executors integer,
    OUT free_worker_slots integer,
    OUT preloaded boolean,
    OUT launcher_is_running boolean,
    OUT schedulers integer,
    OUT scheduler_state text,
    OUT executors integer,
    OUT clock_steps integer,
    OUT clock_step_ms double precision,
    OUT clock_step_at timestamptz
) RETURNS record
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'cmdsched_worker_health';
COMMENT ON FUNCTION cmdsched.worker_health() IS 'What cmdsched.doctor() asks that no table knows.';

CREATE FUNCTION cmdsched.doctor(
    OUT check_name text,
    OUT status text,
    OUT detail text,
    OUT advice text
) RETURNS SETOF record
LANGUAGE sql VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
BEGIN ATOMIC
    WITH h AS MATERIALIZED (
        SELECT w.*, pg_catalog.pg_is_in_recovery() AS is_standby, pg_catalog.clock_timestamp() AS now,
               NOT pg_catalog.row_security_active('cmdsched.scheduled_commands') AS sees_commands,
               pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') AS sees_sessions,
               d.oid AS database, d.datname AS database_name,
               pg_catalog.current_setting('server_version_num')::integer AS version,
               pg_catalog.current_setting('max_worker_processes')::integer AS max_worker_processes,
               pg_catalog.current_setting('max_worker_processes')::integer - w.free_worker_slots AS used_worker_slots,
               3 + greatest(w.schedulers, 1) - 1 + w.max_executors AS wanted_worker_slots
          FROM cmdsched.worker_health() AS w, pg_catalog.pg_database AS d
         WHERE d.datname = pg_catalog.current_database()
    ),
    -- What waits
    r AS MATERIALIZED (
        SELECT coalesce(pg_catalog.sum(s.due), 0) AS due,
               pg_catalog.min(s.oldest_due_at) AS oldest_due_at,
               coalesce(pg_catalog.sum(s.claimable), 0) AS claimable,
               pg_catalog.min(s.oldest_claimable_at) AS oldest_claimable_at,
               coalesce(pg_catalog.sum(s.pending + s.held + s.failed), 0) AS commands
          FROM cmdsched.stat_roles AS s
    ),
    kinds AS MATERIALIZED (
        SELECT c.command_type, c.command_module, c.scheduled_by, c.scheduled_by_name
          FROM cmdsched.scheduled_commands AS c
         WHERE c.status IN ('pending', 'held')
         GROUP BY c.command_type, c.command_module, c.scheduled_by, c.scheduled_by_name
    ),
    parked AS MATERIALIZED (
        SELECT c.status, c.last_error ->> 'sqlstate' AS sqlstate, pg_catalog.left(c.last_error ->> 'message', 200) AS message,
               pg_catalog.min(c.last_error ->> 'detail') AS hint, pg_catalog.count(*) AS commands,
               pg_catalog.sum(pg_catalog.count(*)) OVER (PARTITION BY c.status) AS of_all,
               pg_catalog.row_number() OVER (PARTITION BY c.status ORDER BY pg_catalog.count(*) DESC, pg_catalog.min(c.schedule_id)) AS place
          FROM cmdsched.scheduled_commands AS c
         WHERE c.due_at = 'infinity' AND c.status IN ('held', 'failed')
         GROUP BY 1, 2, 3
    ),
    paused AS MATERIALIZED (
        SELECT pg_catalog.count(*) AS commands, pg_catalog.string_agg(DISTINCT a.command_type, ', ') AS types
          FROM cmdsched.scheduled_commands AS c
          JOIN cmdsched.handlers AS a ON a.command_type = c.command_type AND a.command_module = c.command_module AND a.paused
         WHERE c.due_at = 'infinity' AND c.status = 'pending' AND c.execute_at <= (SELECT h.now FROM h)
    ),
    unusable AS MATERIALIZED (
        SELECT u.*
          FROM (SELECT k.command_type, k.command_module, k.scheduled_by_name,
                       CASE
                       WHEN a.command_type IS NULL THEN 'is not registered'
                       WHEN f.oid IS NULL THEN pg_catalog.format('the function %s does not exist', a.handler)
                       WHEN NOT pg_catalog.has_function_privilege(k.scheduled_by, f.oid, 'EXECUTE') THEN pg_catalog.format('%s may not execute %s', k.scheduled_by_name, a.handler)
                       WHEN q.rolsuper AND NOT o.rolsuper THEN pg_catalog.format('%s is a superuser, but the owner of %s is not', k.scheduled_by_name, a.handler)
                       WHEN NOT o.rolsuper AND a.function_owner IS NOT NULL AND (w.oid IS NULL OR NOT pg_catalog.pg_has_role(o.oid, w.oid, 'USAGE')) THEN pg_catalog.format('%s has another owner than when it was registered', a.handler)
                       END AS problem,
                       CASE
                       WHEN a.command_type IS NULL THEN 'Register it with cmdsched.register_handler().'
                       WHEN f.oid IS NULL THEN 'Create it, or register another one.'
                       WHEN NOT pg_catalog.has_function_privilege(k.scheduled_by, f.oid, 'EXECUTE') THEN pg_catalog.format('GRANT EXECUTE ON %s %s TO %I;', CASE f.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, a.handler, k.scheduled_by_name)
                       WHEN q.rolsuper AND NOT o.rolsuper THEN 'Schedule as another role.'
                       ELSE 'If that is meant, register it again.'
                       END AS advice
                  FROM kinds AS k
                  JOIN pg_catalog.pg_roles AS q ON q.oid = k.scheduled_by
                  LEFT JOIN cmdsched.handlers AS a ON a.command_type = k.command_type AND a.command_module = k.command_module
                  LEFT JOIN pg_catalog.pg_proc AS f ON f.oid = pg_catalog.to_regprocedure(a.handler)
                  LEFT JOIN pg_catalog.pg_roles AS o ON o.oid = f.proowner
                  LEFT JOIN pg_catalog.pg_roles AS w ON w.rolname = a.function_owner
                 WHERE a.external IS NOT TRUE) AS u
         WHERE u.problem IS NOT NULL
         ORDER BY u.command_type, u.command_module, u.scheduled_by_name
    ),
    barred AS MATERIALIZED (
        SELECT b.*
          FROM (SELECT k.scheduled_by_name AS name,
                       CASE
                       WHEN q.oid IS NULL THEN 'does not exist'
                       WHEN q.rolname <> k.scheduled_by_name AND n.oid IS NOT NULL THEN 'is another one than the role with this oid'
                       WHEN NOT q.rolcanlogin AND h.version < 170000 THEN 'is not permitted to log in'
                       WHEN NOT pg_catalog.has_database_privilege(q.oid, h.database, 'CONNECT') THEN 'may not connect to the database'
                       END AS problem,
                       CASE
                       WHEN q.oid IS NULL OR q.rolname <> k.scheduled_by_name AND n.oid IS NOT NULL THEN 'Cancel its commands as a superuser and schedule them anew.'
                       WHEN NOT q.rolcanlogin AND h.version < 170000 THEN pg_catalog.format('ALTER ROLE %I LOGIN;', q.rolname)
                       ELSE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO %I;', h.database_name, q.rolname)
                       END AS advice
                  FROM (SELECT DISTINCT k.scheduled_by, k.scheduled_by_name FROM kinds AS k) AS k
                 CROSS JOIN h
                  LEFT JOIN pg_catalog.pg_roles AS q ON q.oid = k.scheduled_by
                  LEFT JOIN pg_catalog.pg_roles AS n ON n.rolname = k.scheduled_by_name) AS b
         WHERE b.problem IS NOT NULL
         ORDER BY b.name
    ),
    stale AS MATERIALIZED (
        SELECT a.pid, pg_catalog.round(extract(epoch FROM h.now - a.xact_start)) AS seconds
          FROM pg_catalog.pg_stat_activity AS a, h
         WHERE a.backend_xmin IS NOT NULL AND a.pid <> pg_catalog.pg_backend_pid() AND a.xact_start < h.now - interval '10 minutes'
         ORDER BY a.xact_start
         LIMIT 1
    ),
    prepared AS MATERIALIZED (
        SELECT x.gid, pg_catalog.round(extract(epoch FROM h.now - x.prepared)) AS seconds
          FROM pg_catalog.pg_prepared_xacts AS x, h
         WHERE x.database = h.database_name AND x.prepared < h.now - interval '5 minutes'
         ORDER BY x.prepared
         LIMIT 1
    ),
    size AS MATERIALIZED (
        SELECT pg_catalog.pg_relation_size(t.oid) + pg_catalog.pg_indexes_size(t.oid) AS bytes,
               pg_catalog.pg_indexes_size(t.oid) AS index_bytes,
               -- A row may be 2 kB long, its index entries half of one.
               67108864 + 2560 * CASE WHEN h.sees_commands OR h.sees_sessions THEN r.commands ELSE greatest(t.reltuples, r.commands) END AS allowed_bytes,
               CASE WHEN h.sees_commands OR h.sees_sessions THEN r.commands ELSE greatest(t.reltuples, r.commands) END AS commands
          FROM pg_catalog.pg_class AS t, h, r
         WHERE t.oid = 'cmdsched.scheduled_commands'::regclass
    ),
    checks AS (
        SELECT 1 AS place, 'preloaded' AS check_name,
               CASE WHEN h.preloaded THEN 'ok' WHEN h.scheduler_state = 'running' THEN 'warning' ELSE 'problem' END AS status,
               CASE WHEN h.preloaded THEN 'cmdsched is in shared_preload_libraries'
                    WHEN h.scheduler_state = 'running' THEN 'cmdsched is not in shared_preload_libraries; the workers are there because of cmdsched.start(), until the server stops'
                    ELSE 'cmdsched is not in shared_preload_libraries' END AS detail,
               'Add cmdsched to shared_preload_libraries and restart the server. Until then: SELECT cmdsched.start();' AS advice
          FROM h
        UNION ALL
        SELECT 2, 'primary', CASE WHEN h.is_standby THEN 'warning' ELSE 'ok' END,
               CASE WHEN h.is_standby THEN 'this server is a standby: nothing runs here' ELSE 'this server is no standby' END,
               'Commands run on the primary. After its end: SELECT pg_promote();'
          FROM h
        UNION ALL
        SELECT 3, 'enabled', CASE WHEN h.enabled THEN 'ok' ELSE 'problem' END,
               'cmdsched.enabled is ' || CASE WHEN h.enabled THEN 'on' ELSE 'off: the workers run nothing' END,
               'ALTER SYSTEM SET cmdsched.enabled = on; SELECT pg_reload_conf();'
          FROM h
        UNION ALL
        SELECT 4, 'launcher', CASE WHEN coalesce(h.launcher_is_running, false) OR h.is_standby OR h.preloaded IS NOT TRUE THEN 'ok' ELSE 'problem' END,
               CASE WHEN h.launcher_is_running THEN 'the launcher is running'
                    WHEN h.is_standby THEN 'there is none on a standby'
                    WHEN h.preloaded IS NOT TRUE THEN 'there is none where cmdsched is not preloaded'
                    ELSE 'the launcher is not running' END,
               'It comes back within a second. If it does not, the server log says why; where max_worker_processes is too small, set it to at least ' || h.wanted_worker_slots || ' and restart the server.'
          FROM h
        UNION ALL
        SELECT 5, 'scheduler', CASE WHEN h.scheduler_state = 'running' OR h.is_standby THEN 'ok' WHEN h.scheduler_state = 'starting' THEN 'warning' ELSE 'problem' END,
               CASE WHEN h.scheduler_state = 'running' THEN 'the scheduler of this database is running'
                    WHEN h.is_standby THEN 'there is none on a standby'
                    WHEN h.scheduler_state = 'starting' THEN 'the scheduler of this database is starting'
                    WHEN NOT h.serves_database THEN 'cmdsched.databases does not name this database'
                    WHEN h.scheduler_state = 'stopped' THEN 'cmdsched.stop() was called in this database'
                    ELSE 'there is no scheduler in this database' END,
               CASE WHEN NOT h.serves_database THEN 'Add it to cmdsched.databases, or empty that for all databases: ALTER SYSTEM SET cmdsched.databases = ''''; SELECT pg_reload_conf();'
                    WHEN h.scheduler_state = 'stopped' OR h.preloaded IS NOT TRUE THEN 'SELECT cmdsched.start();'
                    ELSE 'SELECT cmdsched.trigger(); If it stays away, see the checks launcher and worker_slots.' END
          FROM h
        UNION ALL
        SELECT 6, 'copy', CASE WHEN i.is_copy THEN 'problem' ELSE 'ok' END,
               CASE WHEN i.is_copy THEN 'this database is a copy: its commands wait' ELSE 'the commands belong to this database' END,
               'If they are to run here and not in the original: SELECT cmdsched.adopt();'
          FROM (SELECT NOT EXISTS (SELECT FROM cmdsched.home AS o WHERE o.database = h.database) AND r.commands > 0 AS is_copy FROM h, r) AS i
        UNION ALL
        SELECT 7, 'worker_slots',
               CASE WHEN h.free_worker_slots > 0 AND h.free_worker_slots >= h.max_executors - coalesce(h.executors, 0) OR h.free_worker_slots = 0 AND coalesce(h.executors, 0) >= h.max_executors THEN 'ok'
                    WHEN h.free_worker_slots > 0 THEN 'warning' ELSE 'problem' END,
               pg_catalog.format('%s of %s background worker slots are free; %s of up to %s executors of this database are there', h.free_worker_slots, h.max_worker_processes, coalesce(h.executors, 0), h.max_executors),
               pg_catalog.format('Set max_worker_processes to at least %s and restart the server. Slots are also used by parallel queries: a smaller max_parallel_workers leaves more.', greatest(h.wanted_worker_slots, h.used_worker_slots + h.max_executors - coalesce(h.executors, 0)))
          FROM h
        UNION ALL
        SELECT 8, 'max_worker_processes', CASE WHEN h.max_worker_processes >= h.wanted_worker_slots THEN 'ok' ELSE 'warning' END,
               pg_catalog.format('max_worker_processes is %s; PostgreSQL itself takes 1, the launcher 1, schedulers %s, executors of this database up to %s', h.max_worker_processes, greatest(h.schedulers, 1), h.max_executors),
               pg_catalog.format('Set max_worker_processes to at least %s and restart the server.', h.wanted_worker_slots)
          FROM h
        UNION ALL
        SELECT 9, 'lag', CASE WHEN l.seconds >= 60 THEN 'problem' WHEN l.seconds >= 5 THEN 'warning' ELSE 'ok' END,
               CASE WHEN l.due = 0 THEN 'nothing is due' ELSE pg_catalog.format('%s commands are due, the oldest for %s s', l.due, pg_catalog.floor(l.seconds)) END,
               CASE WHEN NOT h.enabled OR h.is_standby OR h.scheduler_state <> 'running' THEN 'Nothing runs them: see the checks above.'
                    WHEN coalesce(h.executors, 0) >= h.max_executors THEN 'All executors are busy: cmdsched.workers says with what, and since when. Give slow handlers a timeout, or raise cmdsched.max_executors.'
                    ELSE 'If it lasts, a transaction that has not ended has locked them: see pg_stat_activity for sessions that are idle in transaction, and the check prepared_transactions.' END
          FROM h, (SELECT r.due, greatest(extract(epoch FROM h.now - r.oldest_due_at), 0) AS seconds FROM r, h) AS l
        UNION ALL
        SELECT 10, 'applications', CASE WHEN r.oldest_claimable_at < h.now - interval '1 minute' THEN 'warning' ELSE 'ok' END,
               CASE WHEN r.claimable = 0 THEN 'no command waits for an application'
                    ELSE pg_catalog.format('%s commands may be claimed by applications, the oldest for %s s', r.claimable, pg_catalog.floor(extract(epoch FROM h.now - r.oldest_claimable_at))) END,
               'See why the application does not call cmdsched.claim_due_commands(), or often enough.'
          FROM r, h
        UNION ALL
        SELECT 11, 'paused', CASE WHEN p.commands > 0 THEN 'warning' ELSE 'ok' END,
               CASE WHEN p.commands > 0 THEN pg_catalog.format('%s due commands wait for handlers that are paused: %s', p.commands, p.types) ELSE 'no due command waits for a handler that is paused' END,
               'Register the handler again with cmdsched.register_handler(), not paused.'
          FROM paused AS p
        UNION ALL
        SELECT 12, s.status, CASE WHEN p.status IS NULL THEN 'ok' ELSE s.severity END,
               CASE WHEN p.status IS NULL THEN pg_catalog.format('no command is %s', s.status)
                    ELSE pg_catalog.format('%s commands are %s, %s of them with SQLSTATE %s: %s', p.of_all, s.status, p.commands, p.sqlstate, p.message) END,
               CASE s.status WHEN 'held' THEN coalesce(p.hint || ' ', '') ELSE 'Repair that, or use cmdsched.cancel(). ' END
               || pg_catalog.format('SELECT cmdsched.retry(schedule_id) FROM cmdsched.scheduled_commands WHERE status = %L;', s.status)
          FROM (VALUES ('held', 'problem'), ('failed', 'warning')) AS s (status, severity)
          LEFT JOIN parked AS p ON p.status = s.status AND p.place = 1
        UNION ALL
        SELECT 13, 'handlers', CASE WHEN u.pairs = 0 THEN 'ok' ELSE 'problem' END,
               CASE WHEN u.pairs = 0 THEN 'all commands that wait have a handler that they may call'
                    ELSE pg_catalog.format('%s; %s command types and roles in all', u.first_problem, u.pairs) END,
               u.first_advice
          FROM (SELECT pg_catalog.count(*) AS pairs,
                       (SELECT pg_catalog.format('command type %s: %s', CASE n.command_module WHEN '' THEN '' ELSE n.command_module || '.' END || n.command_type, n.problem) FROM unusable AS n LIMIT 1) AS first_problem,
                       (SELECT n.advice FROM unusable AS n LIMIT 1) AS first_advice
                  FROM unusable) AS u
        UNION ALL
        SELECT 14, 'roles', CASE WHEN b.roles = 0 THEN 'ok' ELSE 'problem' END,
               CASE WHEN b.roles = 0 THEN 'all roles with commands that wait may run them' ELSE pg_catalog.format('%s; %s roles in all', b.first_problem, b.roles) END,
               b.first_advice
          FROM (SELECT pg_catalog.count(*) AS roles,
                       (SELECT pg_catalog.format('role %s %s', n.name, n.problem) FROM barred AS n LIMIT 1) AS first_problem,
                       (SELECT n.advice FROM barred AS n LIMIT 1) AS first_advice
                  FROM barred) AS b
        UNION ALL
        SELECT 15, 'recurring', CASE WHEN c.schedules = 0 THEN 'ok' ELSE 'problem' END,
               CASE WHEN c.schedules = 0 THEN 'no recurring schedule is held' ELSE pg_catalog.format('%s recurring schedules are held, %s: %s', c.schedules, c.name, c.reason) END,
               pg_catalog.format('Repair that with cmdsched.alter_recurring(), then: SELECT cmdsched.resume_recurring(%L);', c.name)
          FROM (SELECT pg_catalog.count(*) AS schedules, pg_catalog.min(g.name) AS name, pg_catalog.min(g.reason) AS reason FROM cmdsched.recurring AS g WHERE g.status = 'held') AS c
        UNION ALL
        SELECT 16, 'hooks', CASE WHEN k.hooks = 0 THEN 'ok' ELSE 'warning' END,
               CASE WHEN k.hooks = 0 THEN 'no hook is disabled' ELSE pg_catalog.format('%s hooks are disabled, %s: %s', k.hooks, k.keys[1], coalesce(k.keys[3], 'no reason given')) END,
               pg_catalog.format('When it is repaired: SELECT cmdsched.enable_hook(%L, %L);', k.keys[2], k.keys[1])
          FROM (SELECT pg_catalog.count(*) AS hooks, pg_catalog.min(ARRAY[o.hook, o.operation_pattern, o.disabled_reason]) AS keys FROM cmdsched.hooks AS o WHERE NOT o.enabled) AS k
        UNION ALL
        SELECT 17, 'clock', CASE WHEN h.clock_steps > 0 THEN 'warning' ELSE 'ok' END,
               CASE WHEN h.clock_steps > 0 THEN pg_catalog.format('the clock of the server was set %s times, the last time by %s ms, to %s', h.clock_steps, pg_catalog.round(h.clock_step_ms), h.clock_step_at)
                    ELSE 'the scheduler has not seen the clock being set' END,
               'Commands were late, or sooner than they should, by that much. Have the clock kept in step by a time service that does not set it. SELECT cmdsched.reset_statistics(); forgets it.'
          FROM h
        UNION ALL
        SELECT 18, 'old_snapshots', CASE WHEN s.pid IS NULL THEN 'ok' ELSE 'warning' END,
               CASE WHEN s.pid IS NOT NULL THEN pg_catalog.format('the transaction of process %s has a snapshot and is %s s old: vacuum cannot remove what went since', s.pid, s.seconds)
                    WHEN h.sees_sessions THEN 'no transaction with a snapshot is older than 10 minutes'
                    ELSE 'not known: only members of pg_read_all_stats see the sessions of others' END,
               pg_catalog.format('End that transaction, if need be by: SELECT pg_terminate_backend(%s);', s.pid)
          FROM h LEFT JOIN stale AS s ON true
        UNION ALL
        SELECT 19, 'prepared_transactions', CASE WHEN p.gid IS NULL THEN 'ok' ELSE 'warning' END,
               CASE WHEN p.gid IS NULL THEN 'no prepared transaction is older than 5 minutes'
                    ELSE pg_catalog.format('transaction %L was prepared %s s ago: what it scheduled does not run, what it locked waits', p.gid, p.seconds) END,
               pg_catalog.format('ROLLBACK PREPARED %L; or COMMIT PREPARED %L;', p.gid, p.gid)
          FROM h LEFT JOIN prepared AS p ON true
        UNION ALL
        SELECT 20, 'table_size', CASE WHEN s.bytes > s.allowed_bytes THEN 'warning' ELSE 'ok' END,
               pg_catalog.format('cmdsched.scheduled_commands takes %s MB, %s MB of which for indexes, for %s commands', s.bytes / 1048576, s.index_bytes / 1048576, s.commands),
               'Most of it is free and is used again. To give it back, when commands may wait for some seconds: VACUUM FULL cmdsched.scheduled_commands;'
          FROM size AS s
        UNION ALL
        SELECT 21, 'notify_queue', CASE WHEN q.usage >= 0.9 THEN 'problem' WHEN q.usage >= 0.5 THEN 'warning' ELSE 'ok' END,
               pg_catalog.format('%s %% of the queue of NOTIFY is in use', pg_catalog.round((100 * q.usage)::numeric)),
               'A session that has called LISTEN and does not end its transaction keeps it from being emptied: the server log names the process. When it is full, NOTIFY fails.'
          FROM (SELECT pg_catalog.pg_notification_queue_usage() AS usage) AS q
    )
    SELECT c.check_name, c.status,
           CASE WHEN h.sees_commands OR c.place NOT IN (6, 9, 10, 11, 12, 13, 14, 15, 16) THEN c.detail ELSE c.detail || ' (of what you may see)' END,
           CASE c.status WHEN 'ok' THEN NULL ELSE c.advice END
      FROM checks AS c, h
     ORDER BY c.place, c.check_name DESC;
END;
COMMENT ON FUNCTION cmdsched.doctor() IS 'What is in order and what is not, a row for each check, and what to do about it. Everybody may ask, and is told of what they may see.';

-- ---------------------------------------------------------------------------
-- Inside a handler
-- ---------------------------------------------------------------------------

CREATE FUNCTION cmdsched.current_command() RETURNS cmdsched.scheduled_commands
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cmdsched_current_command';
COMMENT ON FUNCTION cmdsched.current_command() IS 'The command being run, NULL outside a handler.';

CREATE FUNCTION cmdsched.snooze(delay interval) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cmdsched_snooze';
COMMENT ON FUNCTION cmdsched.snooze(interval) IS 'Inside a handler: ends this attempt, rolls its effects back and runs the command again after the delay. The attempt does not count.';

CREATE FUNCTION cmdsched.abandon(reason text) RETURNS void
LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'cmdsched_abandon';
COMMENT ON FUNCTION cmdsched.abandon(text) IS 'Inside a handler: ends this attempt, rolls its effects back and does not try again; the command is failed, for this reason.';

-- A launcher that finds this database without the extension does not look
-- again unless it is told.
SELECT cmdsched.trigger();
