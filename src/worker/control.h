/*-------------------------------------------------------------------------
 *
 * control.h
 *	  Starting, stopping and waking this database's workers from a session.
 *
 * IDENTIFICATION
 *	  src/worker/control.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_CONTROL_H
#define CMDSCHED_CONTROL_H

extern bool cmdsched_control_start(void);
extern bool cmdsched_control_stop(int timeout_ms);
extern void cmdsched_control_trigger(void);
extern void cmdsched_control_warn_without_worker(void);

#endif
