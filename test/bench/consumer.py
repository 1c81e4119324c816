"""An application that carries commands out, through psycopg.

consumer.py drain COUNT BATCH TENTHS
    Claims and completes so many that are due, a transaction a batch.  Prints
    the commands/s of each part.
consumer.py wait COUNT
    Waits for so many notifications' worth of commands.  Prints how late each
    was claimed, in ms.
"""

import sys
import time

import psycopg

# Completes what was claimed before, and claims anew.
TURN = """
SELECT done.count, claimed.ids, claimed.tokens, claimed.data
  FROM (SELECT count(*) FILTER (WHERE cmdsched.complete(c.id, c.token))
          FROM unnest(%s::text[], %s::uuid[]) AS c (id, token)) AS done
 CROSS JOIN
       (SELECT array_agg(schedule_id) AS ids, array_agg(claim_token) AS tokens, array_agg(command_data::text) AS data
          FROM cmdsched.claim_due_commands(%s, '{external}')) AS claimed"""
LATENESS = """
SELECT schedule_id, claim_token, 1000 * extract(epoch FROM clock_timestamp() - (command_data->>'at')::timestamptz)::float8
  FROM cmdsched.claim_due_commands(100, '{external}')"""


def connect():
    connection = psycopg.connect("", autocommit=True, prepare_threshold=0)
    # As they came, to be sent back so.
    connection.adapters.register_loader("uuid[]", psycopg.types.string.TextLoader)
    connection.adapters.register_loader("text[]", psycopg.types.string.TextLoader)
    return connection


def drain(count, batch, parts):
    connection = connect()
    ids = tokens = "{}"
    for _ in range(parts):
        done = 0
        started = time.monotonic()
        while done < count // parts and ids is not None:
            completed, ids, tokens, data = connection.execute(TURN, (ids, tokens, batch)).fetchone()
            done += completed
        print(done / (time.monotonic() - started), flush=True)


def wait(count):
    connection = connect()
    connection.execute("LISTEN cmdsched_due")
    print("listening", flush=True)
    done = 0
    while done < count:
        for schedule_id, token, late_ms in connection.execute(LATENESS).fetchall():
            connection.execute("SELECT cmdsched.complete(%s, %s)", (schedule_id, token))
            print(late_ms, flush=True)
            done += 1
        if done < count:
            next(connection.notifies())


if __name__ == "__main__":
    {"drain": drain, "wait": wait}[sys.argv[1]](*map(int, sys.argv[2:]))
