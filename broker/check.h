/* check.h - `lbbroker check`: would this broker start? Says each thing it looks at; changes
   nothing. */
#ifndef LB_BROKER_CHECK_H
#define LB_BROKER_CHECK_H

#include "broker/broker.h"

/* Prints a line for each point to stdout; 0: all is well, 1: something is not. */
int broker_check(const struct broker_options *o);

#endif
