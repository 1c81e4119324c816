/*-------------------------------------------------------------------------
 *
 * cmdsched.c
 *	  The entry of the library.
 *
 * IDENTIFICATION
 *	  src/cmdsched.c
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "settings.h"
#include "worker/shared_state.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	cmdsched_settings_define();
	if (!process_shared_preload_libraries_in_progress)
		return;
	cmdsched_shared_state_install();
	/* pg_upgrade starts workers as well: commands must not run then. */
	if (!IsBinaryUpgrade)
		cmdsched_worker_register_launcher();
}
