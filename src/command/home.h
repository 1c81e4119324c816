/*-------------------------------------------------------------------------
 *
 * home.h
 *	  Do the commands of this database belong to it?
 *
 * IDENTIFICATION
 *	  src/command/home.h
 *-------------------------------------------------------------------------
 */
#ifndef CMDSCHED_HOME_H
#define CMDSCHED_HOME_H

typedef enum HomeState
{
	HOME_IS_HERE,
	HOME_IS_NEW,	   /* since just now: the workers have to look again */
	HOME_IS_ELSEWHERE, /* a copy: nothing runs */
} HomeState;

extern bool cmdsched_home_is_here(void);
extern HomeState cmdsched_home_settle(void);
extern int64 cmdsched_home_adopt(void);

#endif
