/*
 * crash.c
 *	  A function that ends its process as a bug in C would.
 */
#include "postgres.h"

#include <signal.h>

#include "fmgr.h"

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(crash);

Datum
crash(PG_FUNCTION_ARGS)
{
	raise(SIGSEGV);
	PG_RETURN_VOID();
}
