/*
 * spin.c
 *	  A function that never looks at interrupts: it ends when there is a
 *	  file of that name, and by nothing else.
 */
#include "postgres.h"

#include <unistd.h>

#include "fmgr.h"
#include "utils/builtins.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(spin);

Datum
spin(PG_FUNCTION_ARGS)
{
	char *path = text_to_cstring(PG_GETARG_TEXT_PP(0));

	while (access(path, F_OK) != 0)
		;
	PG_RETURN_VOID();
}
