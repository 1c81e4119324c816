/*-------------------------------------------------------------------------
 *
 * admission.h
 *	  What has to hold before a command is written down.
 *
 * IDENTIFICATION
 *	  src/api/admission.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_ADMISSION_H
#define CMDSCHED_ADMISSION_H

#include "command/command.h"
#include "command/handler_store.h"

extern const Handler *cmdsched_admission_check_handler(const Command *command);
extern const Handler *cmdsched_admission_check(const Command *command,
											   Oid role);
extern bool cmdsched_admission_is_at_home(void);
extern void cmdsched_admission_commit_durably(void);

#endif
