/*-------------------------------------------------------------------------
 *
 * schedule_arguments.h
 *	  The arguments that schedule() and those like it have in common.
 *
 * IDENTIFICATION
 *	  src/api/schedule_arguments.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_SCHEDULE_ARGUMENTS_H
#define CMDSCHED_SCHEDULE_ARGUMENTS_H

#include "fmgr.h"

#include "command/command.h"
#include "command/command_store.h"

extern OnConflict cmdsched_schedule_arguments_take(FunctionCallInfo fcinfo,
												   Command *command);

#endif
